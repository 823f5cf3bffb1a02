// Run by full-disk.test.ts on a small disk: fills it through the destination, makes room and goes on. Prints what happened
// as one line of JSON.
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [dist, folder, rowsPerCommit] = process.argv.slice(2);
const ballast = join(folder, "ballast");
writeFileSync(ballast, new Uint8Array(4 << 20));

const { definition } = await import(join(dist, "destinations/duckdb/index.js"));
const { rowsOf } = await import(join(dist, "toolkit/vectors.js"));
const path = join(folder, "copy.duckdb");
const log = { debug() {}, info() {}, warn() {} };
const context = {
  log,
  connection: "c",
  schema: "s",
  systemColumnPrefix: "_headwaters",
  deletion: "soft",
  rename: {},
};
const columns = [
  { name: "id", type: { kind: "INT" }, nullable: false },
  { name: "bytes", type: { kind: "BINARY" }, nullable: true },
];
const table = {
  id: "t",
  columns,
  key: ["id"],
  identity: "1",
  cursor: null,
  version: null,
  estimatedRows: null,
  notes: [],
};
const opened = "2024-05-17T00:00:00.000Z";
const split = { id: "all", tables: ["t"], work: null };
const pass = {
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

async function open() {
  const warehouse = await definition.open(definition.configuration.parse({ path, memory_limit: "64MB" }), context, {
    create: true,
  });
  return { warehouse, lease: await warehouse.acquire(holder) };
}

/** Writes rows from `id` on, and the progress that says so. */
async function commit({ warehouse, lease }, id, version, rows) {
  await disposing(await warehouse.begin(lease, opened), async (transaction) => {
    if (version === 1) await transaction.open(pass);
    for (let row = 0; row < rows; row += 500) {
      const cells = Array.from({ length: 500 }, (_, index) => [id + row + index, randomBytes(400)]);
      await transaction.write(pass, split, { kind: "upsert", table: "t", rows: rowsOf(columns, cells) });
    }
    await transaction.commit([{ pass: "p", split: "all", attempt: 1, version, state: id + rows, done: false }]);
  });
}

async function disposing(disposable, work) {
  try {
    return await work(disposable);
  } finally {
    await disposable[Symbol.asyncDispose]();
  }
}

async function standing({ warehouse }) {
  const { progress } = await warehouse.load();
  return { rows: (await warehouse.count("t")) ?? 0, progress: progress[0]?.state ?? 0 };
}

const rows = Number(rowsPerCommit);
let [id, version, error] = [0, 1, null];
let holding = await open();
while (error === null) {
  try {
    await commit(holding, id, version, rows);
    id += rows;
    version += 1;
  } catch (thrown) {
    error = { code: thrown.code, message: thrown.message };
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
process.stdout.write(JSON.stringify({ id, error, full, reopened, after }));
