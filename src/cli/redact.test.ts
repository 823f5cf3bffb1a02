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

  test("hides a very short secret or number only where it stands as one (case 25)", () => {
    expect(hiding("a").text("a table has a row, pass=a")).toBe("a table has a row, pass=***");
    expect(hiding("a").text('reader:a@host, password: "a", data')).toBe('reader:***@host, password: "***", data');
    expect(hiding("12").text("headwaters.yaml, line 12: port 12, password 12")).toBe(
      "headwaters.yaml, line 12: port 12, password ***",
    );
    expect(hiding("5432").text("host:5432 refuses reader:5432@host")).toBe("host:5432 refuses reader:***@host");
    expect(hiding("12345678").text("at 12345678")).toBe("at ***");
  });

  test("hides the password of every address, also of one that nobody named a secret (case 24)", () => {
    const redactor = hiding();
    expect(redactor.text("no source postgres://u:p@h/d, and rediss://:a@b/c@h:1")).toBe(
      "no source postgres://u:***@h/d, and rediss://:***@h:1",
    );
    expect(redactor.text("see https://host:80/path")).toBe("see https://host:80/path");
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
