import { sourceConformance } from "../../conformance/source.ts";
import { describeWith } from "../../servers/require.ts";
import { startRethinkdb } from "../../servers/rethinkdb.ts";
import { things } from "./things.ts";

await describeWith(startRethinkdb, "RethinkDB", (server) => {
  sourceConformance("RethinkDB", () => things(server, false));
  sourceConformance("RethinkDB with an index", () => things(server, true));
});
