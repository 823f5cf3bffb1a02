import { expect, test } from "vitest";
import { configuration, contactPoints } from "./config.ts";
import { definition } from "./index.ts";

/** As in the published example: every value is text. */
const example = {
  ...{ host_1: "a", host_2: "b", host_3: "c", port: "9042", username: "u", password: "p" },
  ...{ data_center_region: "AWS_US_EAST_1", keyspace: "k" },
};

test("the configuration of the published example", () => {
  const parsed = configuration.parse(example);
  expect(parsed).toMatchObject({ port: 9042, data_center_region: "AWS_US_EAST_1", keyspace: "k" });
  expect(parsed).toMatchObject({ cursor_column: "updated_at", interval_hours: 6 });
  expect(contactPoints(parsed)).toEqual(["a", "b", "c"]);
});

test("one host is enough, and the port has the default of the example", () => {
  const parsed = configuration.parse({ host_1: "a", host_2: "", host_3: "", keyspace: "k", data_center_region: "" });
  expect(contactPoints(parsed)).toEqual(["a"]);
  expect(parsed).toMatchObject({ port: 9042, data_center_region: undefined });
});

test("the first host is required", () => {
  const { issues } = configuration.safeParse({ ...example, host_1: "" }).error!;
  expect(issues[0]).toMatchObject({ path: ["host_1"], message: "must not be empty" });
});

test("another contact point is no other scope, another keyspace is", () => {
  const scope = (settings: object): unknown => definition.scope(configuration.parse(settings));
  const first = scope({ ...{ host_1: "one" }, keyspace: "k" });
  expect(scope({ ...{ host_1: "two", host_2: "one" }, keyspace: "k" })).toEqual(first);
  expect(scope({ ...{ host_1: "one" }, keyspace: "l" })).not.toEqual(first);
});
