import { expect, test } from "vitest";
import { runSql } from "../servers/postgresql.ts";
import { describeWith } from "../servers/require.ts";
import { bothSides, fillShop, Place, startServers } from "./harness.ts";

const long = { timeout: 300_000 };

await describeWith(startServers, "a sync on Temporal", ({ temporal, server }) => {
  test("two workers copy a database, and what changed is copied by the next sync", long, async () => {
    const [from, to] = [await server.createDatabase(), await server.createDatabase()];
    await fillShop(from, 24_000);
    await using place = await Place.make(temporal, from, to);
    await place.worker();
    await place.worker();
    const first = await place.run("sync", "--on", "temporal", "--json");
    expect(first.error).toBe("");
    expect(first.code).toBe(0);
    const sides = await bothSides(from, to);
    expect(sides.copy).toEqual(sides.source);
    await runSql(
      from.connectionString,
      `UPDATE orders SET name = 'changed', updated_at = now() WHERE id % 1000 = 0;
        DELETE FROM orders WHERE id % 5000 = 1; INSERT INTO orders VALUES (0, 'new', NULL, now()); DELETE FROM customers WHERE id = 7`,
    );
    const second = await place.run("sync", "--on", "temporal", "--sweep");
    expect(second.code, second.error + second.output).toBe(0);
    const after = await bothSides(from, to);
    expect(after.copy).toEqual(after.source);
    const history = await place.run("history", "--json");
    expect(history.output).toContain("succeeded");
    const verified = await place.run("verify");
    expect(verified.code, verified.error + verified.output).toBe(0);
  });
});
