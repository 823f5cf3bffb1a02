import { describe, expect, test } from "vitest";
import { HeadwatersError } from "../protocol/errors.ts";
import { failedCheck, failedConnect, isLoopback } from "./checks.ts";

const labels = { connect: "Connect", tls: "TLS", login: "Log in" };

function steps(code: HeadwatersError["code"], unseen: string | null): readonly string[] {
  const error = new HeadwatersError(code, "it failed", { hint: "Mend it." });
  return [...failedConnect(labels, error, unseen)].map(({ name, status, message }) => `${name} ${status}: ${message}`);
}

describe("where connecting failed", () => {
  test("the steps before are told, then the one that the error belongs to", () => {
    expect(steps("LOGIN_FAILED", null)).toEqual(["connect ok: ok", "tls ok: ok", "login failed: it failed. Mend it."]);
    expect(steps("LOGIN_FAILED", "tls")).toEqual(["connect ok: ok", "login failed: it failed. Mend it."]);
    expect(steps("TLS_MISMATCH", "tls")).toEqual(["connect ok: ok", "tls failed: it failed. Mend it."]);
  });

  test("an error without a step, or with an unknown step, belongs to the first step", () => {
    expect(steps("CONNECTION_REFUSED", null)).toEqual(["connect failed: it failed. Mend it."]);
    expect(steps("DATABASE_UNKNOWN", null)).toEqual(["connect failed: it failed. Mend it."]);
  });
});

test("an error without a hint is told alone", () => {
  expect(failedCheck("a", "A", new Error("odd"))).toMatchObject({ name: "a", label: "A", status: "failed" });
  expect(failedCheck("a", "A", new HeadwatersError("DEFECT", "odd")).message).toBe("odd");
});

test.each([
  ["localhost", true],
  ["127.0.0.2", true],
  ["::1", true],
  ["10.0.0.1", false],
  ["localhost.example", false],
])("%s is this machine: %s", (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback);
});
