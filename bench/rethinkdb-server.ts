import process from "node:process";
import { StandIn } from "../test/servers/rethinkdb/server.ts";
import { makeDatabase, Table } from "../test/servers/rethinkdb/storage.ts";
import { activity } from "./rethinkdb-table.ts";

/** The stand-in in a process of its own, with one table; it says its port and runs until it is killed. */
const server = await StandIn.start();
const database = makeDatabase("bench");
const table = new Table("activity_log", "id");
for (let number = 0; number < Number(process.argv[2]); number++) table.put(activity(number));
database.tables.set(table.name, table);
server.behaviour.store.databases.set(database.name, database);
server.behaviour.encoded = new Map();
const rate = Number(process.argv[3]);
if (rate > 0) server.behaviour.bytesPerSecond = rate;
process.send!(server.port);
process.on("disconnect", () => process.exit());
