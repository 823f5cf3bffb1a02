import { followedScylla } from "../end-to-end/cdc-source.ts";
import { expectFollowed } from "../end-to-end/following.ts";
import { Workplace } from "../end-to-end/program.ts";
import { startOwnCassandra } from "../servers/cassandra.ts";
import { runSql, startOwnPostgresql } from "../servers/postgresql.ts";
import { withoutOurs } from "../servers/scylladb/sides.ts";
import { ScyllaStandIn } from "../servers/scylladb/stand-in.ts";

/**
 * Kills a process that follows CDC logs, or its sessions, again and again while the source is written: `npx tsx
 * test/campaigns/follow-cdc.ts [kills of each destination] [seed]`. Needs `npm run build` before.
 */
const kills = Number(process.argv[2] ?? 20);
const seed = Number(process.argv[3] ?? 1);
/** After so many kills the copy is compared with the source. */
const each = 10;

await using server = await startOwnPostgresql();
for (const kind of ["duckdb", "postgresql"]) {
  await using scylla = await ScyllaStandIn.start({ tablets: kind === "postgresql", server: await startOwnCassandra() });
  await using copies = await server.createDatabase();
  await using place = await Workplace.make(copies);
  const { host, port, user, password, database } = copies;
  const at = { type: "postgresql", host, port, user, password, database };
  const destination = kind === "duckdb" ? "duckdb:copy.duckdb" : at;
  const c = {
    ...{ source: { type: "scylladb", ...scylla.settings() }, destination, schema: "k" },
    ...{ commitInterval: "200ms", maxDeleteFraction: 1, deletes: "never", reread: "never" },
  };
  await place.write("headwaters.yaml", { connections: { c } });
  const source = await followedScylla(scylla);
  const rows = async (table: string): Promise<unknown> => {
    const live = `k.${table} WHERE NOT _headwaters_deleted`;
    const found =
      kind === "duckdb"
        ? await place.query("copy.duckdb", `SELECT * FROM copy.${live}`)
        : await runSql(copies.connectionString, `SELECT * FROM ${live}`);
    return withoutOurs(found);
  };
  for (let done = 0; done < kills; done += each) {
    const how = { kills: Math.min(each, kills - done), seed: seed + done, span: 5_000 };
    const result = await expectFollowed({ source, place, connection: "c" }, how, rows);
    process.stdout.write(`${kind}: ${JSON.stringify(result)}: equal, CONVERGED\n`);
  }
}
