import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dateText, durationText, inetText, timestampText, timeText } from "./time-text.ts";

describe("times as text", () => {
  test("days and milliseconds are those of JavaScript, where it has them", () => {
    fc.assert(
      fc.property(fc.integer({ min: -8.64e15, max: 8.64e15 }), (milliseconds) => {
        const text = new Date(milliseconds).toISOString().replace(/^([+-])0?0?(?=\d{4})/, "$1");
        const ours = timestampText(BigInt(milliseconds)).replace(/^([+-])0?0?(?=\d{4})/, "$1");
        expect(ours).toBe(text);
      }),
    );
  });

  test("beyond them too", () => {
    expect(dateText(-(2 ** 31))).toBe("-5877641-06-23");
    expect(dateText(2 ** 31 - 1)).toBe("+5881580-07-11");
    expect(timestampText(2n ** 63n - 1n)).toBe("+292278994-08-17T07:12:55.807Z");
    expect(timestampText(-(2n ** 63n))).toBe("-292275055-05-16T16:47:04.192Z");
  });

  test("times, durations and addresses", () => {
    expect(timeText(86_399_999_999_999n)).toBe("23:59:59.999999999");
    expect(durationText(14n, 3n, 3_723_004_005_006n)).toBe("1y2mo3d1h2m3s4ms5us6ns");
    expect(durationText(-1n, 0n, 0n)).toBe("-1mo");
    expect(durationText(0n, 0n, -(2n ** 63n))).toBe("-2562047h47m16s854ms775us808ns");
    const address = (hex: string): string => inetText(Buffer.from(hex, "hex"));
    expect(address("7f000001")).toBe("127.0.0.1");
    expect(address("20010db8000000000000000000000001")).toBe("2001:db8::1");
    expect(address("00000000000000000000000000000000")).toBe("::");
    expect(address("00010000000000000002000000000003")).toBe("1::2:0:0:3");
    expect(address("00010002000300040005000600070000")).toBe("1:2:3:4:5:6:7:0");
  });
});
