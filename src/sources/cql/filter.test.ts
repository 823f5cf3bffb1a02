import { describe, expect, test } from "vitest";
import { conditionsOf, parseRestrictions } from "./filter.ts";
import type { CqlTable } from "./catalog.ts";

const native = {
  name: "readings",
  columns: [
    { name: "site", kind: "partition_key" },
    { name: "at", kind: "clustering" },
    { name: "status", kind: "regular" },
    { name: "Size", kind: "regular" },
    { name: "updated_at", kind: "regular" },
  ],
} as unknown as CqlTable;

describe("CQL restrictions", () => {
  test.each([
    ["status = 'active'", ["\"status\" = 'active'"]],
    ["STATUS='it''s AND so' AND \"Size\" >= -1.5e3", ["\"status\" ='it''s AND so'", '"Size" >= -1.5e3']],
    ["status IN ('a', 'b') and\n\"Size\" <1", ["\"status\" IN ('a', 'b')", '"Size" <1']],
    ["status CONTAINS KEY 0xff", ['"status" CONTAINS KEY 0xff']],
    ["status = 123e4567-e89b-12d3-a456-426614174000", ['"status" = 123e4567-e89b-12d3-a456-426614174000']],
    ["status = a23e4567-e89b-12d3-a456-426614174000", ['"status" = a23e4567-e89b-12d3-a456-426614174000']],
    ["status = true AND status LIKE 'a%'", ['"status" = true', "\"status\" LIKE 'a%'"]],
  ])("%s", (text, conditions) => {
    expect(conditionsOf(native, text, "updated_at")).toEqual(conditions);
  });

  test.each([
    "status = 'a' LIMIT 1",
    "status = 'a' ORDER BY at",
    "status = 'a' PER PARTITION LIMIT 1",
    "status = 'a' OR status = 'b'",
    "status = 'a'; DROP TABLE readings",
    "status = 'a' ALLOW FILTERING",
    "status = 'a",
    "status = ?",
    "status = 'a' AND",
    "status = 'a' AND AND status = 'b'",
    "status = 'a'ORDER BY x",
    "(status = 'a')",
    "token(site) > 1",
    "status = 1 LIMIT",
    "",
  ])("%s is none", (text) => {
    expect(parseRestrictions(text)).toBeNull();
  });

  test.each([
    ["state = 'a'", 'names column "state"', 'Did you mean "status"?'],
    ["size = 1", 'names column "size"', 'Did you mean "Size"?'],
    ["site = 'a'", "a column of the key", "by other columns"],
    ["at > 0", "a column of the key", "by other columns"],
    ["updated_at > '2024-01-01'", "the cursor column", "mode to full"],
  ])("%s is refused", (text, message, hint) => {
    expect(() => conditionsOf(native, text, "updated_at")).toThrow(
      expect.objectContaining({
        code: "CONFIGURATION_INVALID",
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  test("the cursor column is as good as any where there is no cursor", () => {
    expect(conditionsOf(native, "updated_at > '2024-01-01'", null)).toHaveLength(1);
    expect(conditionsOf(native, undefined, null)).toEqual([]);
  });
});
