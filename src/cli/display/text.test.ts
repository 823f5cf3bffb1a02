import { describe, expect, test } from "vitest";
import { colored, cut, cutStyled, printable, width, plain } from "./text.ts";
import { tableLines } from "./table.ts";
import { wrapped } from "./wrap.ts";

describe("text", () => {
  test("widths: letters one, East Asian two, marks and styles none", () => {
    expect([width("abc"), width("表名"), width("e\u0301"), width(colored("red", "abc"))]).toEqual([3, 4, 1, 3]);
  });

  test("cuts by width, not by characters", () => {
    expect(cut("sensor_readings", 8)).toBe("sensor_…");
    expect(cut("表名表名", 6)).toBe("表名…");
    expect(cut("abc", 3)).toBe("abc");
    expect(cutStyled(`${colored("red", "abcdef")}gh`, 4)).toBe("\x1b[31mabc…\x1b[39m");
  });

  test("names can't move the cursor", () => {
    expect(printable("a\x1b[2Jb\rc\x07\td\u009b1A", false)).toBe("a\uFFFD[2Jb\uFFFDc\uFFFD d\uFFFD1A");
    expect(printable(colored("red", "x"), true)).toBe("\x1b[31mx\x1b[39m");
    expect(printable(colored("red", "x"), false)).toBe("x");
    expect(printable("two\nlines", false)).toBe("two\nlines");
  });

  test("columns line up, whatever is in them", () => {
    const layout = [
      { title: "table", align: "left" },
      { title: "rows", align: "right" },
    ] as const;
    expect(
      tableLines(
        layout,
        [
          ["表名", "1,000"],
          [colored("red", "ab"), "2"],
        ],
        { paint: plain, width: Infinity },
      ),
    ).toEqual(["table   rows", "表名   1,000", "\x1b[31mab\x1b[39m         2"]);
  });

  test("too wide for the terminal, text goes over several lines, and numbers stay (case 34)", () => {
    const layout = [
      { title: "table", align: "left" },
      { title: "rows", align: "right" },
      { title: "as of", align: "left" },
    ] as const;
    const rows = [
      ["sensor_readings_of_2026", "1,204,331", "2026-01-31 09:05:00Z"],
      ["a", "2", "never whole"],
    ];
    const look = (width: number) => ({ paint: plain, width });
    expect(tableLines(layout, rows, look(40))).toEqual([
      "table               rows  as of",
      "sensor_readin  1,204,331  2026-01-31",
      "gs_of_2026                09:05:00Z",
      "a                      2  never whole",
    ]);
    expect(tableLines(layout, rows, look(160))).toHaveLength(3);
  });
});

describe("lines for a terminal (case 34)", () => {
  test("break at blanks, and go on indented", () => {
    expect(wrapped("  ok  Connect: the server answers", 20)).toEqual(["  ok  Connect: the", "    server answers"]);
    expect(wrapped("short", 20)).toEqual(["short"]);
  });

  test("a path stays whole", () => {
    expect(wrapped("Wrote /home/reader/warehouse.duckdb now", 12)).toEqual([
      "Wrote",
      "  /home/reader/warehouse.duckdb",
      "  now",
    ]);
  });
});
