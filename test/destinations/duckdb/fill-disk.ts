// Run by full-disk.test.ts on a small disk: fills it through the destination, makes room and goes on. Prints what happened
// as one line of JSON.
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { definition } from "../../../src/destinations/duckdb/index.ts";
import { asHeadwatersError, type HeadwatersError } from "../../../src/protocol/errors.ts";
import type { Json } from "../../../src/protocol/json.ts";
import type { Pass, Split } from "../../../src/protocol/pass.ts";
import type { Warehouse } from "../../../src/protocol/destination.ts";
import { rowsOf } from "../../../src/toolkit/vectors.ts";
import { tableOf } from "../../conformance/destination/steps.ts";

const [folder, rowsPerCommit] = process.argv.slice(2) as [string, string];
const ballast = join(folder, "ballast");
writeFileSync(ballast, new Uint8Array(4 << 20));

const path = join(folder, "copy.duckdb");
const context = {
  log: { debug() {}, info() {}, warn() {} },
  connection: "c",
  schema: "s",
  systemColumnPrefix: "_headwaters",
  deletion: "soft" as const,
  rename: {},
};
const table = tableOf("t", { id: "INT", bytes: "BINARY" }, ["id"]);
const opened = "2024-05-17T00:00:00.000Z";
const split: Split = { id: "all", tables: ["t"], work: null };
const pass: Pass = {
  id: "p",
  kind: "full",
  tables: [table],
  splits: [split],
  next: {},
  asOf: opened,
  snapshot: null,
  opened,
  scope: "",
  replace: false,
};
const holder = { host: "here", pid: process.pid, since: opened };

interface Holding {
  readonly warehouse: Warehouse;
  readonly lease: number;
}

async function open(): Promise<Holding> {
  const warehouse = await definition.open(definition.configuration.parse({ path, memory_limit: "64MB" }), context, {
    create: true,
  });
  return { warehouse, lease: await warehouse.acquire(holder) };
}

/** Writes rows from `id` on, and the progress that says so. */
async function commit({ warehouse, lease }: Holding, id: number, version: number, rows: number): Promise<void> {
  await using transaction = await warehouse.begin(lease, opened);
  if (version === 1) await transaction.open(pass);
  for (let row = 0; row < rows; row += 500) {
    const cells = Array.from({ length: 500 }, (_, index) => [id + row + index, randomBytes(400)]);
    await transaction.write(pass, split, { kind: "upsert", table: "t", rows: rowsOf(table.columns, cells) });
  }
  await transaction.commit([{ pass: "p", split: "all", attempt: 1, version, state: id + rows, done: false }]);
}

async function standing({ warehouse }: Holding): Promise<{ readonly rows: number; readonly progress: Json }> {
  const { progress } = await warehouse.load();
  return { rows: (await warehouse.count("t")) ?? 0, progress: progress[0]?.state ?? 0 };
}

const rows = Number(rowsPerCommit);
let [id, version] = [0, 1];
let error: HeadwatersError | null = null;
let holding = await open();
while (error === null) {
  try {
    await commit(holding, id, version, rows);
    id += rows;
    version += 1;
  } catch (thrown) {
    error = asHeadwatersError(thrown);
  }
}
const full = await standing(holding);
await holding.warehouse[Symbol.asyncDispose]();
holding = await open();
const reopened = await standing(holding);
await holding.warehouse[Symbol.asyncDispose]();
rmSync(ballast);
holding = await open();
await commit(holding, id, version, 500);
const after = await standing(holding);
await holding.warehouse[Symbol.asyncDispose]();
const { code, message } = error;
process.stdout.write(JSON.stringify({ id, error: { code, message }, full, reopened, after }));
