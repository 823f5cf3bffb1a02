import { describe, expect, test } from "vitest";
import type { Table } from "../../protocol/table.ts";
import { checkColumnsKept, checkScope, scopeFor, scopeOf, scopesOf } from "./scope.ts";

const table = { id: "t", columns: ["id", "a", "b"].map((name) => ({ name })) } as unknown as Table;

describe("a scope", () => {
  test("is one of server and table", () => {
    const scopes = [scopeOf({ host: "a" }, "t"), scopeOf({ host: "b" }, "t"), scopeOf({ host: "a" }, "u")];
    expect(new Set(scopes).size).toBe(3);
    expect(scopeOf({ host: "a" }, "t")).toBe(scopes[0]);
    expect(scopeOf({ host: "a" }, "t", { mode: "full", settings: { deletes: "never" } })).toBe(scopes[0]);
  });

  test("has nothing of what concerns another table", () => {
    const scope = (of: Record<string, string>): string => scopeOf({ host: "a", tables: of }, "t");
    expect(scope({ t: "x", u: "y" })).toBe(scope({ t: "x" }));
    expect(new Set([scope({ t: "x" }), scope({ t: "y" }), scope({}), scopeOf({ host: "a" }, "t")]).size).toBe(4);
  });

  test("is of filter and names, in whatever order they are written", () => {
    const scopes = [
      {},
      { filter: "a > 0" },
      { filter: { a: 1, b: { gt: 0, lt: 2 } } },
      { rename: "x" },
      { renameColumns: { a: "b" } },
      { columns: { include: ["a"], exclude: [] } },
      { columns: { include: [], exclude: ["a"] } },
    ].map((settings) => scopeOf("s", "t", settings));
    expect(new Set(scopes).size).toBe(scopes.length);
    expect(scopeOf("s", "t", { filter: { b: { lt: 2, gt: 0 }, a: 1 } })).toBe(scopes[2]);
    expect(scopeOf("s", "t", { columns: { include: ["b", "a", "b"], exclude: [] } })).toBe(
      scopeOf("s", "t", { columns: { include: ["a", "b"], exclude: [] } }),
    );
  });

  test("that has other rows asks for the user's word, one that has other columns only where some are left out", () => {
    const before = scopeOf("s", "t");
    const fewer = { columns: { include: [], exclude: ["b"] } };
    expect(() => checkScope(table, scopeOf("s", "t", { filter: "a > 0" }), before, false)).toThrow(
      expect.objectContaining({ code: "SCOPE_CHANGED" }),
    );
    checkScope(table, scopeOf("s", "t", { filter: "a > 0" }), before, true);
    checkScope(table, scopeOf("s", "t", fewer), before, false);
    expect(() => checkColumnsKept(table, fewer, false)).toThrow(
      expect.objectContaining({ code: "SCOPE_CHANGED", message: expect.stringContaining('"b"') }),
    );
    checkColumnsKept(table, fewer, true);
    checkColumnsKept(table, { columns: { include: ["id", "a", "b", "c"], exclude: [] } }, false);
    checkColumnsKept({ ...table, columns: [] }, fewer, false);
  });

  test("of several tables is that of each", () => {
    const scopes = (filter: string): string =>
      ["t", "u"].map((id) => scopeOf("s", id, { columns: { include: ["a"], exclude: [] }, filter })).join(" ");
    expect(() => checkScope(table, scopes("a > 1"), scopes("a > 0"), false)).toThrow(/filter/);
    const [one, other] = [scopeOf("s", "t"), scopeOf("s", "t", { columns: { include: ["a"], exclude: [] } })];
    expect(() => checkScope(table, `${other} x`, `${one} y`, false)).toThrow(/filter/);
    checkScope(table, `${other} x`, `${one} x`, false);
  });

  test("goes by the names in the source", () => {
    const settings = { columns: { include: ["id", "x", "b"], exclude: [] }, renameColumns: { x: "a" } };
    checkColumnsKept(table, settings, false);
  });
});

describe("the same server under another address (case 49)", () => {
  const definition = { scope: ({ host, port }: { host: string; port: number }) => ({ server: `${host}:${port}` }) };
  const connectionAt = (host: string, port = 5432) => scopesOf(definition, { host, port });
  const made = (host: string) => scopeFor(connectionAt(host), "t", null);

  test.each([
    ["localhost", "127.0.0.1"],
    ["127.0.0.1", "localhost"],
    ["localhost", "::1"],
    ["::1", "localhost"],
  ])("%s goes on as %s, also where an older version stored it", (before, now) => {
    // As every version has stored it.
    const stored = scopeOf({ server: `${before}:5432` }, "t");
    expect(scopeFor(connectionAt(now), "t", stored)).toBe(stored);
    checkScope(table, scopeFor(connectionAt(now), "t", stored), stored, false);
  });

  test.each([
    ["127.0.0.1", "::1"],
    ["127.0.0.1", "127.0.0.2"],
    ["localhost", "db.example.com"],
  ])("%s and %s may be two servers", (before, now) => {
    const scope = scopeFor(connectionAt(now), "t", made(before));
    expect(() => checkScope(table, scope, made(before), false)).toThrow(
      expect.objectContaining({ code: "SCOPE_CHANGED" }),
    );
  });

  test("another port, or another filter, is another scope", () => {
    const stored = made("localhost");
    expect(scopeFor(connectionAt("127.0.0.1", 5433), "t", stored)).not.toBe(stored);
    const filtered = { ...connectionAt("127.0.0.1"), tables: { t: { filter: "a > 0" } } };
    expect(scopeFor(filtered, "t", stored)).not.toBe(stored);
  });
});
