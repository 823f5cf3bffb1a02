import { describe, expect, test } from "vitest";
import { parseYaml } from "./document.ts";
import { type FoundTable, withTables } from "./write-tables.ts";

const found: readonly FoundTable[] = [
  { id: "alerts", told: "key id; ~30 rows", selected: true },
  { id: "devices", told: "key id; ~500 rows", selected: true },
  { id: "hidden", told: "no key", selected: false },
];

function write(text: string, tables = found): string {
  return withTables(text, "headwaters.yaml", "iot", tables);
}

const head = `# A file.
connections:
  # The factory.
  iot:
    source: {type: yugabytedb, host: a,   password: "\${PW}"} # where from
    destination: duckdb:w.duckdb`;

describe("tables in a file of connections", () => {
  test("are named where none were, and all else stays", () => {
    expect(
      write(`${head}

    # How often.
    deletes: 6h
    #parallel: 4
  other:
    source: { type: rethinkdb, host: b }
`),
    ).toBe(`${head}
    tables:
      include:
        - alerts # key id; ~30 rows
        - devices # key id; ~500 rows
        # - hidden # no key

    # How often.
    deletes: 6h
    #parallel: 4
  other:
    source: { type: rethinkdb, host: b }
`);
  });

  test("a list that is there is not added to; others are comments below it, once", () => {
    const once = write(`${head}
    tables: ["a*", devices] # mine
`);
    expect(once).toBe(`${head}
    tables:
      # mine
      - "a*"
      - devices # key id; ~500 rows
      # - hidden # no key
`);
    expect(write(once)).toBe(once);
  });

  test("what is left out stays so, and comments of the reader's own are kept", () => {
    expect(
      write(`${head}
    tables:
      exclude: [hidden] # no one needs it
`),
    ).toBe(`${head}
    tables:
      include:
        - alerts # key id; ~30 rows
        - devices # key id; ~500 rows
        # - hidden # no key
      exclude: [hidden] # no one needs it
`);
    const own = `${head}
    tables:
      include:
        - devices # the ones with a lid
        # - hidden # no key
`;
    expect(write(own)).toBe(own);
  });

  test("into a connection that stands in one line", () => {
    const written = write(
      `connections: { iot: { source: { type: x, password: \${PW:-a b} }, destination: d, tables: [] } }\n`,
    );
    expect(parseYaml(written, "f").value).toEqual({
      connections: {
        iot: { source: { type: "x", password: "${PW:-a b}" }, destination: "d", tables: ["alerts", "devices"] },
      },
    });
  });

  test("what can't be edited is told", () => {
    expect(() => write("connections:\n  a: &a { source: b }\n  iot: *a\n")).toThrow(/connections\.iot is an alias/);
    expect(() => write(`${head}\n    tables: all\n`)).toThrow(/neither a list nor a mapping/);
  });
});
