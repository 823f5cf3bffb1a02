import { expect, test } from "vitest";
import { configuration } from "./config.ts";

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
