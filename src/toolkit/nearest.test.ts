import { describe, expect, test } from "vitest";
import { nearest } from "./nearest.ts";

describe("nearest", () => {
  const settings = ["host", "port", "password", "schema", "sslmode"];

  test.each([
    ["hots", "host"],
    ["Port", "port"],
    ["pasword", "password"],
    ["pass_word", "password"],
    ["shcema", "schema"],
    ["ssl_mode", "sslmode"],
  ])("%s means %s", (word, meant) => {
    expect(nearest(word, settings)).toBe(meant);
  });

  test("a word that is like none has no nearest", () => {
    expect(nearest("keyspace", settings)).toBeNull();
    expect(nearest("", settings)).toBeNull();
  });

  test("the nearest of several wins", () => {
    expect(nearest("tables", ["tablet", "tables_", "table"])).toBe("tablet");
    expect(nearest("cassandr", ["scylladb", "cassandra"])).toBe("cassandra");
  });
});
