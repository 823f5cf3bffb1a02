import { expect, test } from "vitest";
import { configuration, contactPoints } from "./config.ts";
import { definition } from "./index.ts";

/** As in the published example: every value is text. */
const example = { hostname: "db", username: "u", password: "p", keyspace: "k", port: "9042" };

test("the configuration of the published example, and what it leaves open", () => {
  expect(configuration.parse(example)).toMatchObject({
    ...{ hostname: "db", username: "u", password: "p", keyspace: "k", port: 9042 },
    ...{ cursor_column: "created_at", consistency: "LOCAL_QUORUM", changes: "cursor", tls: false, lag: 60 },
  });
});

test("several contact points, blanks for what is not set, modes by table", () => {
  const parsed = configuration.parse({
    ...example,
    ...{ hostname: "a, b ,c", username: "", password: " ", data_center: "", tls: "True", page_size: "100" },
    ...{ consistency: "local_one", changes: { orders: "writetime", "*": "full" } },
  });
  expect(contactPoints(parsed)).toEqual(["a", "b", "c"]);
  expect(parsed).toMatchObject({ tls: true, page_size: 100, consistency: "LOCAL_ONE" });
  expect([parsed.username, parsed.password, parsed.data_center]).toEqual([undefined, undefined, undefined]);
});

test.each([
  [{ port: "abc" }, "port", "must be a whole number from 1 to 65535"],
  [{ hostname: " " }, "hostname", "must not be empty"],
  [{ keyspace: "" }, "keyspace", "must not be empty"],
  [{ consistency: "EACH" }, "consistency", "must be one of ONE, TWO"],
  [{ tls: "maybe" }, "tls", "must be true or false"],
  [{ hots: "x" }, undefined, "hots"],
])("%o is refused", (wrong, path, message) => {
  const { issues } = configuration.safeParse({ ...example, ...wrong }).error!;
  expect(issues).toHaveLength(1);
  expect(issues[0]!.path[0]).toBe(path);
  expect(issues[0]!.message).toContain(message);
});

test("every setting is described, secrets and files are marked", () => {
  const marked: Record<"secret" | "path", string[]> = { secret: [], path: [] };
  for (const [name, field] of Object.entries(configuration.shape)) {
    const meta = field.meta() as { description?: string; secret?: boolean; path?: boolean };
    expect(meta.description, name).toBeTruthy();
    for (const mark of ["secret", "path"] as const) if (meta[mark] === true) marked[mark].push(name);
  }
  expect(marked).toEqual({ secret: ["password"], path: ["ca_file", "cert_file", "key_file"] });
});

test("another contact point is no other scope, another keyspace is", () => {
  const scope = (settings: object): unknown => definition.scope(configuration.parse(settings));
  const first = scope({ ...{ hostname: "one" }, keyspace: "k" });
  expect(scope({ ...{ hostname: "one, two" }, keyspace: "k" })).toEqual(first);
  expect(scope({ ...{ hostname: "one" }, keyspace: "l" })).not.toEqual(first);
});
