import { expect, test } from "vitest";
import { startRedisStack, startValkey } from "../../../test/servers/redis.ts";
import { describeWith } from "../../../test/servers/require.ts";

const servers = [
  ["Valkey", startValkey],
  ["Redis Stack", startRedisStack],
] as const;
for (const [title, start] of servers) {
  await describeWith(
    () => start(1),
    `RESP with ${title}`,
    (server) => {
      test("replies of every kind", async () => {
        expect(await server.run("PING")).toBe("PONG");
        expect(await server.run("RPUSH", "list", "one", "zwei ä", Buffer.from([255, 13, 10, 0]))).toBe(3);
        expect(await server.run("LRANGE", "list", 0, -1)).toEqual([
          Buffer.from("one"),
          Buffer.from("zwei ä"),
          Buffer.from([255, 13, 10, 0]),
        ]);
        expect(await server.run("GET", "nothing")).toBeNull();
        expect(await server.run("PTTL", "nothing")).toBe(-2);
        expect(await server.run("LRANGE", "nothing", 0, -1)).toEqual([]);
        await expect(server.run("GET", "list")).rejects.toThrow(/^WRONGTYPE/);
      });
    },
  );
}
