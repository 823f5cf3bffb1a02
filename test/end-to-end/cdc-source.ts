import { seeded } from "../campaigns/random.ts";
import { rowsOfScylla } from "../servers/scylladb/sides.ts";
import type { BaseTable, ScyllaStandIn, Using } from "../servers/scylladb/stand-in.ts";
import type { WrittenSource } from "./following.ts";

/** The longest time to live, in seconds. */
const mostTtl = 5;

const tables: readonly BaseTable[] = [
  { name: "plain", partition: ["id"], clustering: [], statics: [], types: { id: "int", name: "text" } },
  {
    ...{ name: "wide", partition: ["p"], clustering: ["c"], statics: ["s"] },
    types: { p: "int", c: "int", v: "text", tags: "set<text>", s: "text" },
  },
  {
    ...{ name: "deep", partition: ["p"], clustering: ["a", "b"], statics: [] },
    types: { p: "int", a: "int", b: "int", v: "text" },
  },
];

/** The clustering columns of these tables, which are 0 in a copy where a partition has static columns alone. */
const clusteringColumns = ["c"];

/** Makes the tables, with some rows. */
export async function followedScylla(scylla: ScyllaStandIn): Promise<WrittenSource> {
  for (const table of tables) await scylla.create(table);
  for (let id = 0; id < 60; id++) await scylla.insert("plain", { id, name: `n${id}` });
  for (let p = 0; p < 6; p++) {
    for (let c = 1; c < 6; c++) await scylla.insert("wide", { p, c, v: `v${c}`, tags: ["a"], s: `s${p}` });
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) await scylla.insert("deep", { p, a, b, v: `${a}.${b}` });
  }
  return {
    tables: tables.map(({ name }) => name),
    write: async (seed) => writeAtRandom(scylla, seed),
    cut: async () => scylla.front.cut(),
    rows: (table) => rowsOfScylla(scylla.server, table, clusteringColumns),
  };
}

/** Statements of every kind, some dated back, some with a time to live; now and then another generation of streams. */
function writeAtRandom(scylla: ScyllaStandIn, seed: number): { stop(): Promise<number> } {
  const { below: pick } = seeded(seed);
  const using = (mayExpire: boolean): Using => ({
    ...(pick(10) === 0 ? { late: pick(8_000) } : {}),
    ...(mayExpire && pick(6) === 0 ? { ttl: 1 + pick(mostTtl) } : {}),
  });
  const statement = (): Promise<void> => {
    const [p, a, b, c, id] = [pick(6), pick(4), pick(4), 1 + pick(6), pick(90)];
    const value = `v${pick(1e6)}`;
    switch (pick(20)) {
      case 0:
      case 1:
        return scylla.insert("plain", { id, name: value }, using(true));
      case 2:
      case 3:
        return scylla.update("plain", { id }, { "name = ?": value }, using(true));
      case 4:
        return scylla.deleteRow("plain", { id }, using(false));
      case 5:
        return scylla.insert("wide", { p, c, v: value }, using(true));
      case 6:
        return scylla.insert("wide", { p, c, v: value, s: value }, using(true));
      case 7:
        return scylla.insert("wide", { p, s: value }, using(true));
      case 8:
        return scylla.update("wide", { p, c }, { "tags = tags + ?": [value.slice(0, 2)] }, using(true));
      case 9:
        return scylla.update("wide", { p, c }, { "tags = tags - ?": ["v1"] }, using(false));
      case 10:
        return scylla.update("wide", { p }, { "s = ?": value }, using(true));
      case 11:
        return scylla.deleteColumn("wide", "s", { p }, using(false));
      case 12:
        return scylla.deleteRow("wide", { p, c }, using(false));
      case 13:
        return scylla.deleteRange("wide", { p }, "c", { from: [">", c], to: ["<=", c + 2] }, using(false));
      case 14:
        return pick(3) === 0 ? scylla.deletePartition("wide", { p }, using(false)) : Promise.resolve();
      case 15:
      case 16:
        return scylla.insert("deep", { p, a, b, v: value }, using(true));
      case 17:
        return scylla.deleteRange("deep", { p, a }, "b", { from: [">=", b], to: ["<", b + 2] }, using(false));
      case 18:
        return scylla.deleteRange(
          "deep",
          { p },
          "a",
          pick(2) === 0 ? { from: [">", a] } : { to: ["<", a] },
          using(false),
        );
      default:
        return pick(4) === 0
          ? scylla.deletePartition("deep", { p }, using(false))
          : scylla.deleteRow("deep", { p, a, b }, using(false));
    }
  };
  const writer = { goesOn: true };
  let statements = 0;
  const writing = (async () => {
    for (; writer.goesOn; statements++) {
      await statement();
      if (pick(400) === 0) await scylla.newGeneration(Date.now() + 3_000);
      await new Promise((resolve) => setTimeout(resolve, pick(12)));
    }
  })();
  writing.catch(() => {});
  return {
    async stop() {
      if (writer.goesOn) {
        writer.goesOn = false;
        // What expires does so before the sides are compared.
        await new Promise((resolve) => setTimeout(resolve, 1_000 * (mostTtl + 1)));
      }
      await writing;
      return statements;
    },
  };
}
