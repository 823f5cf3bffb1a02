import { describe, expect, test } from "vitest";
import { MomentText } from "./moment-text.ts";
import { microsecondsOfNumber, microsecondsOfSeconds, microsecondsOfText } from "./timestamps.ts";

describe("moments", () => {
  test.each([
    ["2024-05-17", "2024-05-17T00:00:00.000Z"],
    ["2024-05-17T10:20Z", "2024-05-17T10:20:00.000Z"],
    ["2024-05-17 10:20:30", "2024-05-17T10:20:30.000Z"],
    ["2024-05-17T10:20:30.5+02:00", "2024-05-17T08:20:30.500Z"],
    ["2024-05-17T10:20:30,123456-0330", "2024-05-17T13:50:30.123456Z"],
    ["2024-05-17T10:20:30.123456789z", "2024-05-17T10:20:30.123456Z"],
    ["1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"],
    ["0024-02-29T00:00:00Z", "0024-02-29T00:00:00.000Z"],
  ])("%s is %s", (text, moment) => {
    const written = new MomentText();
    written.write(microsecondsOfText(text)!);
    expect(written.bytes.toString("latin1", 0, written.length)).toBe(moment);
  });

  test.each(["", "yesterday", "2024", "2024-05", "20240517T102030Z", "2024-05-17T10", "17.05.2024", " 2024-05-17"])(
    "%j is none",
    (text) => expect(microsecondsOfText(text)).toBeNull(),
  );

  test.each([
    [1_700_000_000, "seconds"],
    [1_700_000_000_000, "milliseconds"],
    [1_700_000_000_000_000, "microseconds"],
  ])("%d is taken as %s", (value) => expect(microsecondsOfNumber(value)).toBe(1_700_000_000_000_000));

  test("times of RethinkDB have milliseconds, also where a double would tell something else of microseconds", () => {
    for (let year = 1900; year < 2400; year += 3) {
      const milliseconds = Date.UTC(year, 5, 17, 10, 20, 30, 123 + (year % 7) * 100);
      expect(microsecondsOfSeconds(milliseconds / 1_000)).toBe(milliseconds * 1_000);
      if (year > 2106) expect(microsecondsOfNumber(milliseconds / 1_000)).toBe(milliseconds * 1_000);
    }
    expect(microsecondsOfNumber(1_700_000_000.123456)).toBe(1_700_000_000_123_456);
  });

  test("years without four digits are still told apart", () => {
    const written = new MomentText();
    for (const seconds of [9e12, -9e12]) {
      written.write(seconds * 1e6);
      expect(written.bytes.toString("latin1", 0, written.length)).toBe(`${seconds} s`);
    }
  });
});
