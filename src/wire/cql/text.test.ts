import { describe, expect, test } from "vitest";
import { valueText } from "./text.ts";

describe("values as text", () => {
  test.each([
    ["all of a vint's eight bytes", `0000ff${"ff".repeat(8)}`, "-2562047h47m16s854ms775us808ns"],
    ["the greatest", `0000ff${"ff".repeat(7)}fe`, "2562047h47m16s854ms775us807ns"],
    ["the first that takes nine bytes", "0000ff0100000000000000", "10007h59m57s18ms963us968ns"],
  ])("a duration: %s", (_, hex, text) => {
    const bytes = Buffer.from(hex, "hex");
    expect(valueText({ kind: "duration" }, bytes, 0, bytes.length)).toBe(text);
  });
});
