import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { built } from "../built.ts";

/** Runs `--help` by a shell, in which `$program` stands for the command line. */
function shell(script: string): { readonly status: number | null; readonly stderr: string } {
  const program = `"${process.execPath}" "${built("cli/main.js")}" --help`;
  return spawnSync("sh", ["-c", script.replace("$program", program)], { encoding: "utf8" });
}

describe.skipIf(process.platform !== "linux")("a place that can't be used is one line (case 34)", () => {
  test("output on a full disk", () => {
    const { status, stderr } = shell("$program > /dev/full");
    expect([status, stderr]).toEqual([2, "error the output can't be written (ENOSPC).\n"]);
  });

  test("a folder that was deleted", () => {
    const folder = mkdtempSync(join(tmpdir(), "headwaters-gone-"));
    const { status, stderr } = shell(`cd ${folder} && rmdir ${folder} && $program`);
    expect([status, stderr]).toEqual([2, "error the current folder can't be used (ENOENT); change to another one.\n"]);
  });
});
