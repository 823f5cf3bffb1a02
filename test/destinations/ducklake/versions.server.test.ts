import { expect, test } from "vitest";
import {
  holding,
  fill,
  left,
  live,
  passOf,
  rejectsWith,
  statesOf,
  syncAt,
  things,
  transact,
  upsert,
} from "../../conformance/destination/steps.ts";
import { duckdbExtensions } from "../../servers/duckdb-extensions.ts";
import { describeWith } from "../../servers/require.ts";
import { LakeHarness } from "./harness.ts";

/** Statements that make bookkeeping as version 1 kept it, for the connections whose tables have these suffixes. */
function asVersion1(suffixes: readonly string[]): readonly string[] {
  return [
    ...suffixes.flatMap((suffix) => [
      `ALTER TABLE copy._headwaters.leases${suffix} DROP COLUMN stamp`,
      `ALTER TABLE copy._headwaters.pass_tables${suffix} DROP COLUMN columns`,
      `ALTER TABLE copy._headwaters.pass_tables${suffix} DROP COLUMN ordinal`,
      `DROP TABLE copy._headwaters.held${suffix}`,
      `DROP TABLE copy._headwaters.run_tables${suffix}`,
      `DROP TABLE copy._headwaters.schema_changes${suffix}`,
      ...["kind", "asked_by", "ended", "outcome", "verdict", "error_code", "error_message", "error_hint"].map(
        (column) => `ALTER TABLE copy._headwaters.runs${suffix} DROP COLUMN ${column}`,
      ),
      `ALTER TABLE copy._headwaters.runs${suffix} ADD COLUMN run text`,
    ]),
    "UPDATE copy._headwaters.format SET version = 1",
  ];
}

const error = { code: "SOURCE_FAILED", message: "broken: off", hint: null } as const;

await describeWith(duckdbExtensions, "a lake", ({ folder: extensions }) => {
  test("of version 1 goes on, with all its connections", { timeout: 120_000 }, async () => {
    await using harness = await LakeHarness.make({ extensions });
    const other = { connection: "other", schema: "o" };
    await fill(harness, things, [[1n, "one", 1]]);
    await fill(harness, things, [[5n, "five", 1]], other);
    const pass = passOf("later", "full", [things], syncAt(2));
    const counts = { inserted: 0, updated: 0, deleted: 0, rowsRead: 0, bytesRead: 0, milliseconds: 0 };
    const failed = { ...counts, table: "things", outcome: "failed", passes: [], asOf: null, error } as const;
    const run = { id: "run", started: syncAt(2), ended: null, outcome: "failed", tables: [failed] } as const;
    await holding(harness, async (warehouse, lease) => {
      await transact(warehouse, lease, syncAt(2), async (transaction) => {
        await transaction.open(pass);
        await transaction.write(pass, left(pass), upsert(things, [1n, "uno", 2]));
        await transaction.record(run);
      });
    });
    const found = await harness.query(
      "SELECT table_name FROM duckdb_tables() WHERE database_name = 'copy' AND starts_with(table_name, 'leases')",
    );
    const suffixes = found.map((row) => String(row["table_name"]).slice("leases".length));
    expect(suffixes).toHaveLength(2);
    for (const statement of asVersion1(suffixes)) await harness.tamper(statement);
    const old = { ...run, tables: [{ ...failed, error: `${error.code}: ${error.message}` }] };
    for (const suffix of suffixes) {
      await harness.tamper(
        `UPDATE copy._headwaters.runs${suffix} SET run = '${JSON.stringify(old)}' WHERE id = '${run.id}'`,
      );
    }
    {
      // Who only reads brings it to this version, too.
      await using reader = await harness.open({}, { create: false });
      expect(await reader.runs(1)).toEqual([run]);
      expect((await reader.load()).lastStamp).toBe(syncAt(2));
    }
    await holding(harness, async (warehouse, lease) => {
      await transact(warehouse, lease, syncAt(3), async (transaction) => {
        await transaction.hold(pass, pass.splits[1]!, upsert(things, [2n, "due", 2]));
        await transaction.keep(pass, pass.splits[1]!);
        await transaction.close(pass, statesOf(pass));
      });
      expect((await warehouse.load()).lastStamp).toBe(syncAt(3));
    });
    expect(await live(harness, things)).toEqual([
      [1n, "uno", 2],
      [2n, "due", 2],
    ]);
    await holding(harness, async (warehouse) => expect(await warehouse.count("things")).toBe(1), other);
    // What is kept is in the catalog: no table of it has a file.
    const files = (await harness.files()).filter((file) => /_headwaters.(held|leases|runs)/.test(file));
    expect(files).toEqual([]);
  });

  test("of a newer Headwaters is refused", async () => {
    await using harness = await LakeHarness.make({ extensions });
    await fill(harness, things, []);
    await harness.tamper("UPDATE copy._headwaters.format SET version = 99");
    await rejectsWith("DESTINATION_UNUSABLE", harness.open(), "newer Headwaters");
    await rejectsWith("DESTINATION_UNUSABLE", harness.open({}, { create: false }), "newer Headwaters");
  });
});
