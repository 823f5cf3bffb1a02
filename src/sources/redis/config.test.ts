import { expect, test } from "vitest";
import { configuration } from "./config.ts";

const given = (pattern: unknown): boolean => configuration.safeParse({ host: "h", key_pattern: pattern }).success;

test.each(["*", "session:*", "h[ae]llo", "h[^a-b]*", String.raw`literal\[*`, "a]b", "é:?", ["a*", "b*"]])(
  "%j is a pattern",
  (pattern) => expect(given(pattern)).toBe(true),
);

test.each(["cache[", "cache[a-", "[]", "tail\\", ["a*", "b["]])(
  "%j is refused, since no key would match it (case 50)",
  (pattern) => expect(given(pattern)).toBe(false),
);
