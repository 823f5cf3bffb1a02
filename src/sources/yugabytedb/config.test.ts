import { expect, test } from "vitest";
import { configuration } from "./config.ts";

const least = { host: "h", database: "d", user: "u", password: "p" };

test("the defaults of the published example", () => {
  expect(configuration.parse(least)).toMatchObject({ port: 5433, schema: "public", sslmode: "prefer", lag: 60 });
});

test("text for numbers and switches, blanks for what is not set", () => {
  const parsed = configuration.parse({
    ...least,
    port: " 5432 ",
    schema: "",
    sslmode: "",
    statement_timeout: "0",
    load_balance: "True",
    follower_reads: "",
    itersize: "100",
  });
  expect(parsed).toMatchObject({ port: 5432, schema: "public", sslmode: "prefer", statement_timeout: 0 });
  expect(parsed).toMatchObject({ load_balance: true, follower_reads: false, itersize: 100 });
});

test.each([
  [{ port: "abc" }, "port", "must be a whole number from 1 to 65535"],
  [{ port: "70000" }, "port", "must be at most 65535"],
  [{ port: "5433.5" }, "port", "must be a whole number from 1 to 65535"],
  [{ sslmode: "required" }, "sslmode", "must be one of disable, allow, prefer"],
  [{ load_balance: "maybe" }, "load_balance", "must be true or false"],
  [{ host: "" }, "host", "must not be empty"],
  [{ hots: "x" }, undefined, "hots"],
])("%o is refused", (wrong, path, message) => {
  const issues = configuration.safeParse({ ...least, ...wrong }).error!.issues;
  expect(issues).toHaveLength(1);
  expect(issues[0]!.path[0]).toBe(path);
  expect(issues[0]!.message).toContain(message);
});

test("every setting is described, and secrets are marked", () => {
  const secrets: string[] = [];
  for (const [name, field] of Object.entries(configuration.shape)) {
    const { description, secret } = field.meta() as { description?: string; secret?: boolean };
    expect(description, name).toBeTruthy();
    if (secret === true) secrets.push(name);
  }
  expect(secrets).toEqual(["password", "sslkey"]);
});
