import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Cell } from "../../../src/toolkit/vectors.ts";
import { Workplace } from "../../end-to-end/program.ts";
import { runSql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { typeCases, typeCreation } from "../../sources/postgresql/type-cases.ts";
import { LakeHarness, lakeServer } from "./harness.ts";

const slow = { timeout: 300_000 };
const rows = Math.max(...typeCases.map(({ values }) => values.length)) + 1;

await describeWith(lakeServer, "the program with a lake", ({ extensions, server }) => {
  test("copies every type of YugabyteDB exactly, and proves it; the password is nowhere", slow, async () => {
    await using harness = await LakeHarness.make({ extensions, server });
    await using place = await Workplace.make(server);
    const { host, port, user, password, database } = server;
    const source = { type: "yugabytedb", host, port, user, password, database };
    const destination = { type: "ducklake", ...harness.settings, password: "${LAKE_PASSWORD}" };
    await place.write("headwaters.yaml", { connections: { lake: { source, destination, schema: "s" } } });
    process.env["LAKE_PASSWORD"] = password;

    await runSql(server.connectionString, typeCreation);
    const columns = typeCases.map(({ native }, index) => `v${index} ${native}`);
    await runSql(server.connectionString, `CREATE TABLE types (id int PRIMARY KEY, ${columns.join(", ")})`);
    // Each row has the next value of each type; where there is none any more, NULL, but for the type that has none.
    const valueAt = ({ native, values }: (typeof typeCases)[number], row: number) =>
      values[row] ?? (native === "words" ? values[0]! : null);
    for (let row = 0; row < rows; row++) {
      const literals = typeCases.map((of) => {
        const value = valueAt(of, row);
        return value === null ? "NULL" : `'${value[0].replaceAll("'", "''")}'`;
      });
      await runSql(server.connectionString, `INSERT INTO types VALUES (${[row, ...literals].join(", ")})`);
    }

    const runs = [await place.start(["sync", "lake", "--verify", "--log-level", "debug"])];
    expect(runs[0]!.code, runs[0]!.stderr).toBe(0);
    expect(runs[0]!.stdout).toContain("CONVERGED");
    const copied = (await harness.readBack("s", "types"))!;
    for (const [index, of] of typeCases.entries()) {
      const seen = copied.map((row) => [row["id"], plain(row[`v${index}`]!)]).sort(([a], [b]) => Number(a) - Number(b));
      // A lake does not keep the sign of a zero.
      const stored = (value: unknown): unknown => (value === 0 ? 0 : value);
      const expected = seen.map((_, row) => [row, stored(valueAt(of, row)?.[1] ?? null)]);
      expect(seen, of.native).toEqual(expected);
    }

    runs.push(await place.start(["check", "lake", "--json"]), await place.start(["status", "lake", "--json"]));
    process.env["LAKE_PASSWORD"] = "wrong";
    runs.push(await place.start(["sync", "lake", "--log-level", "debug"]));
    expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 2]);
    process.env["LAKE_PASSWORD"] = password;
    const said = runs.flatMap(({ stdout, stderr }) => [stdout, stderr]);
    for (const folder of [harness.folder, place.folder]) {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        // These two are the user's own.
        if (!entry.isFile() || ["headwaters.yaml", "configuration.json"].includes(entry.name)) continue;
        said.push(await readFile(join(entry.parentPath, entry.name), "latin1"));
      }
    }
    const kept = await runSql<{ text: string }>(
      server.connectionString,
      `SELECT query_to_xml(format('SELECT * FROM %I.%I', schemaname, tablename), true, true, '')::text AS text
        FROM pg_tables WHERE schemaname LIKE 'lake%'`,
    );
    expect(kept.length).toBeGreaterThan(20);
    said.push(...kept.map(({ text }) => text));
    for (const text of said) expect(text).not.toContain(password);
  });
});

/** Bytes as bytes, whatever holds them. */
function plain(value: Cell): Cell {
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}
