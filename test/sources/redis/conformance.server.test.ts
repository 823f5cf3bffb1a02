import { sourceConformance } from "../../conformance/source.ts";
import { startRedisStack, startValkey } from "../../servers/redis.ts";
import { describeWith } from "../../servers/require.ts";
import { things } from "./things.ts";

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(2),
    title,
    (server) => sourceConformance("DragonflyDB", () => things(server)),
  );
}
