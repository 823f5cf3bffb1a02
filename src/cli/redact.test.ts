import { describe, expect, test } from "vitest";
import { Redactor } from "./redact.ts";

function hiding(...secrets: readonly string[]): Redactor {
  const redactor = new Redactor(["yugabytedb", "duckdb"]);
  for (const secret of secrets) redactor.add(secret);
  return redactor;
}

describe("redact", () => {
  const secret = `p@ss/w"or'd %`;

  test.each([
    ["as it is", secret],
    ["URL-encoded", encodeURIComponent(secret)],
    ["URL-encoded strictly", "p%40ss%2Fw%22or%27d%20%25"],
    ["URL-encoded in small letters", "p%40ss%2fw%22or%27d%20%25"],
    ["as a form sends it", "p%40ss%2Fw%22or%27d+%25"],
    ["inside JSON", JSON.stringify(secret).slice(1, -1)],
    ["quoted for SQL", secret.replaceAll("'", "''")],
    ["escaped by a backslash", secret.replaceAll("'", "\\'")],
  ])("takes a secret out %s", (_, spelled) => {
    expect(hiding(secret).text(`login as reader:${spelled}@host failed`)).toBe("login as reader:***@host failed");
  });

  test("hides every occurrence, the longest secret first", () => {
    expect(hiding("hunter2", "hunter2-and-more").text("hunter2-and-more hunter2 xhunter2x")).toBe("*** *** x***x");
  });

  test("hides the password of a URL apart from it", () => {
    const redactor = hiding("postgres://reader:s3cr%40t@host/db");
    expect(redactor.text("password s3cr@t or s3cr%40t refused")).toBe("password *** or *** refused");
  });

  test("hides a very short secret only where it stands alone", () => {
    expect(hiding("a").text("a table has a row, pass=a")).toBe("*** table has *** row, pass=***");
    expect(hiding("a").text("data")).toBe("data");
  });

  test("leaves our own words whole that contain a secret, and hides it beside them", () => {
    expect(hiding("yugabyte").text("yugabytedb at yugabyte:yugabyte@host")).toBe("yugabytedb at ***:***@host");
    expect(hiding("duckdb").text("duckdb")).toBe("***");
  });

  test("nothing and blanks are no secrets", () => {
    expect(hiding("", "  ").text("a  b")).toBe("a  b");
  });

  test("reaches every text of a JSON value, but not the names in it", () => {
    const value = { hunter2: 1, list: ["has hunter2", { deep: "hunter2" }], none: null };
    expect(hiding("hunter2").json(value)).toEqual({ hunter2: 1, list: ["has ***", { deep: "***" }], none: null });
  });
});
