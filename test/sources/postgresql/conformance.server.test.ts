import { sourceConformance } from "../../conformance/source.ts";
import { startPostgresql } from "../../servers/postgresql.ts";
import { describeWith } from "../../servers/require.ts";
import { things } from "./things.ts";

await describeWith(startPostgresql, "YugabyteDB", (server) => sourceConformance("YugabyteDB", () => things(server)));
