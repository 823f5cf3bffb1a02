import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-run-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function given(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}

const weather = `
import { defineSource, z } from "headwaters";
import { rowOf } from "./rows.ts";

enum Unit { celsius, fahrenheit }

export default defineSource({
  name: "weather",
  configuration: z.object({ token: z.string().meta({ secret: true }), count: z.coerce.number().default(3) }),
  state: z.object({ next: z.number().default(0) }),
  schema: { readings: { key: ["id"], columns: { id: "LONG", unit: "STRING" } } },
  async *update({ configuration, state, upsert, checkpoint, log }) {
    log.info("the token is " + configuration.token);
    const end = state.next + configuration.count;
    for (let id = state.next; id < end; id++) yield upsert("readings", rowOf(id, Unit[Unit.celsius]));
    yield checkpoint({ next: end });
  },
});
`;
const rows = `export const rowOf = (id: number, unit: string): { id: number; unit: string } => ({ id, unit });\n`;
const files = { "weather.ts": weather, "rows.ts": rows, "c.json": '{ "token": "hunter2", "count": "2" }' };

describe("run", () => {
  test("syncs a source that is a file, and goes on from its state", async () => {
    await given(files);
    for (const inserted of [2, 2]) {
      const { code, out, error } = await runCli(["run", "weather.ts", "--configuration", "c.json", "--json"], {
        folder,
      });
      expect([code, JSON.parse(out.trim().split("\n").at(-1)!)]).toMatchObject([
        0,
        { kind: "summary", connection: "weather", run: { tables: [{ table: "readings", inserted }] } },
      ]);
      expect(error).not.toContain("hunter2");
    }
    const status = await runCli(["status", "--source", "./weather.ts", "--configuration", "c.json"], { folder });
    expect(status.out).toContain("readings     4");
  });

  test("the source may stand in headwaters.yaml, by its place beside it", async () => {
    await given({
      ...files,
      "headwaters.yaml": `connections:\n  w:\n    source: { type: ./weather.ts, token: abc }\n    destination: duckdb:w.duckdb\n`,
    });
    const { code, out } = await runCli(["sync"], { folder });
    expect([code, out]).toEqual([0, expect.stringContaining("w: synced; 1 of 1 table whole; 3 rows read")]);
    const found = await runCli(["discover", "--columns"], { folder });
    expect(found.out).toContain("reported by the source");
    const proof = await runCli(["verify"], { folder });
    expect([proof.code, proof.out]).toEqual([6, expect.stringContaining("The source only reports what changed")]);
  });

  test("all its tables are synced, or none", async () => {
    await given(files);
    const flags = ["--source", "./weather.ts", "--configuration", "c.json"];
    const include = await runCli(["sync", ...flags, "--tables", "readings"], { folder });
    expect(include.code).toBe(0);
    await given({
      "headwaters.yaml": `connections:\n  w:\n    source: { type: ./weather.ts, token: abc }\n    destination: duckdb:w.duckdb\n`,
    });
    const narrowed = await runCli(["sync", "--tables", "readings"], { folder });
    expect([narrowed.code, narrowed.error]).toEqual([2, expect.stringContaining("reads all its tables together")]);
  });

  test.each<[string, Readonly<Record<string, string>>, readonly string[], string]>([
    [
      "a file that does not exist",
      {},
      ["run", "./wether.ts"],
      `error the source ./wether.ts does not exist (CONFIGURATION_INVALID)
  Name a file that exports a source. "headwaters init source my-source" creates one.
`,
    ],
    [
      "a file that exports no source",
      { "weather.ts": "export const weather = 1;\n" },
      ["run", "weather.ts"],
      `error weather.ts does not export a source as its default (CONFIGURATION_INVALID)
  Write: export default defineSource({ … }).
`,
    ],
    [
      "a file that throws",
      { "weather.ts": 'throw new Error("no luck");\n' },
      ["run", "weather.ts"],
      `error weather.ts can't be loaded: no luck (CONFIGURATION_INVALID)
  The code of the source threw this error: --log-level debug shows where.
`,
    ],
    [
      "a definition that can't work",
      {
        "weather.ts":
          'import { defineSource } from "headwaters";\nexport default defineSource({ name: "My Weather" });\n',
      },
      ["run", "weather.ts"],
      `error defineSource: name is "My Weather" (SOURCE_MISTAKEN)
  A name may only have lowercase letters, digits, - and _, and begins with a letter.
`,
    ],
    [
      "a setting that is missing",
      files,
      ["run", "weather.ts"],
      `error --configuration: token is missing. (CONFIGURATION_INVALID)
`,
    ],
    [
      "a setting that does not exist",
      { ...files, "c.json": '{ "token": "abc", "cuont": 3 }' },
      ["run", "weather.ts", "--configuration", "c.json"],
      `error c.json, line 1: cuont is not a setting. (CONFIGURATION_INVALID)
  Did you mean count?
`,
    ],
  ])("%s", async (_, written, argv, message) => {
    await given(written);
    const { code, error } = await runCli([...argv, "--quiet"], { folder });
    expect([code, error]).toEqual([2, message]);
  });

  test("a value that does not fit names the line of the source, for whoever asks", async () => {
    await given({ ...files, "rows.ts": rows.replace("({ id,", "({ id: id / 2,") });
    const { code, error } = await runCli(["run", "weather.ts", "--configuration", "c.json", "--log-level", "debug"], {
      folder,
    });
    expect([code, error]).toEqual([
      2,
      expect.stringContaining('table "readings": column "id" of row {"id":0.5} is no LONG: 0.5'),
    ]);
  });
});

describe("init source", () => {
  test("writes a source that runs as it is", async () => {
    const init = await runCli(["init", "source", "weather"], { folder });
    expect([init.code, init.error]).toEqual([0, ""]);
    const manifest = JSON.parse(await readFile(join(folder, "weather", "package.json"), "utf8")) as { name: string };
    expect(manifest.name).toBe("weather");
    const { code, out } = await runCli(["run", "weather/source.ts"], { folder });
    expect([code, out]).toEqual([0, expect.stringContaining("weather: synced; 1 of 1 table whole; 250 rows read")]);
  });

  test("leaves alone what is there, and refuses what can be no name", async () => {
    await runCli(["init", "source", "weather"], { folder });
    const again = await runCli(["init", "source", "weather"], { folder });
    expect([again.code, again.error]).toEqual([2, expect.stringContaining("the folder weather has files already")]);
    const odd = await runCli(["init", "source", "My Weather"], { folder });
    expect([odd.code, odd.error]).toEqual([2, expect.stringContaining('a source can\'t be named "My Weather"')]);
  });
});
