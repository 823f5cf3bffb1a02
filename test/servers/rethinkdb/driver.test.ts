import { r } from "rethinkdb-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StandIn } from "./server.ts";

/** What another's driver makes of the stand-in: it was written against real servers. */
describe("a published driver on the stand-in", () => {
  let server: StandIn;
  beforeAll(async () => {
    server = await StandIn.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("writes and reads documents of every type, by key and by cursor", async () => {
    const connection = await r.connect({ host: "127.0.0.1", port: server.port });
    await r.dbCreate("app").run(connection);
    await r.db("app").tableCreate("things").run(connection);
    const things = r.db("app").table("things");
    const at = new Date("2024-05-17T12:00:00.250Z");
    const rows = Array.from({ length: 3_000 }, (_, id) => ({
      id,
      at,
      bytes: Buffer.from([id & 255]),
      nested: [id, null],
    }));
    expect(await things.insert(rows).run(connection)).toMatchObject({ inserted: 3_000, errors: 0 });
    expect(await things.get(7).run(connection)).toEqual({ id: 7, at, bytes: Buffer.from([7]), nested: [7, null] });
    const cursor = await things.between(10, 2_000).orderBy({ index: "id" }).getCursor(connection);
    expect(((await cursor.toArray()) as { id: number }[]).map(({ id }) => id)).toEqual(
      Array.from({ length: 1_990 }, (_, index) => index + 10),
    );
    await connection.close();
  });

  test("a user without rights, and a wrong password", async () => {
    const admin = await r.connect({ host: "127.0.0.1", port: server.port });
    await r.db("rethinkdb").table("users").insert({ id: "reader", password: "pässword" }).run(admin);
    const reader = await r.connect({ host: "127.0.0.1", port: server.port, user: "reader", password: "pässword" });
    await expect(r.db("app").table("things").count().run(reader)).rejects.toThrow(/required `read` permission/);
    await reader.close();
    await admin.close();
    const wrong = r.connect({ host: "127.0.0.1", port: server.port, user: "reader", password: "x", silent: true });
    await expect(wrong).rejects.toThrow(/password/i);
  });
});
