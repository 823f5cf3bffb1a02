import { expect, test } from "vitest";
import { configuration, follows } from "./config.ts";

const least = { host: "h", database: "d", user: "u", password: "p" };

test("PostgreSQL's own port, and none of what only a cluster of YugabyteDB has", () => {
  expect(configuration.parse(least)).toMatchObject({ port: 5432, schema: "public", sslmode: "prefer", lag: 60 });
  expect(configuration.safeParse({ ...least, load_balance: true }).error!.issues[0]).toMatchObject({
    code: "unrecognized_keys",
    keys: ["load_balance"],
  });
});

test("names keep their spaces", () => {
  expect(configuration.parse({ ...least, database: " d", schema: "s " })).toMatchObject({
    database: " d",
    schema: "s ",
  });
});

test("changes for all tables, or by table, also as text", () => {
  const of = (changes: unknown): unknown => configuration.safeParse({ ...least, changes });
  expect(configuration.parse(least).changes).toBe("cursor");
  expect(of(" stream ")).toMatchObject({ data: { changes: "stream" } });
  expect(of("")).toMatchObject({ data: { changes: "cursor" } });
  const byTable = { orders: "stream", "*": "cursor" };
  expect(of(byTable)).toMatchObject({ data: { changes: byTable } });
  expect(of(JSON.stringify(byTable))).toMatchObject({ data: { changes: byTable } });
  for (const wrong of ["streams", "{orders: stream}", { orders: "log" }, 1, []])
    expect(of(wrong)).toMatchObject({
      success: false,
      error: { issues: [{ path: expect.arrayContaining(["changes"]) as string[] }] },
    });
});

test("which tables are followed", () => {
  const { changes } = configuration.parse({ ...least, changes: { orders: "stream", archive: "cursor" } });
  expect([null, "orders", "archive", "other", "toString"].map((table) => follows({ changes }, table))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(follows({ changes: { archive: "cursor" } }, null)).toBe(false);
  expect(follows({ changes: { archive: "cursor", "*": "stream" } }, "other")).toBe(true);
});
