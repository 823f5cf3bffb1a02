import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installPacked, npm, run } from "./packed.ts";

const ours = fileURLToPath(new URL("../node_modules/", import.meta.url));

describe("a source that init source writes, with the packed package", () => {
  let folder: string;
  let source: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-source-"));
    await installPacked(folder);
    await run(folder, ...npm("exec", "--offline", "--", "headwaters", "init", "source", "weather"));
    source = join(folder, "weather");
    // What its package.json names for development: the very packages of this checkout.
    const { devDependencies } = JSON.parse(await readFile(join(source, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>;
    };
    for (const name of Object.keys(devDependencies)) {
      const place = join(source, "node_modules", name);
      await mkdir(join(place, ".."), { recursive: true });
      await symlink(join(ours, name), place, "junction");
    }
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const tool = (name: string, file: string): [string, string[]] => [process.execPath, [join(ours, name, file)]];

  function headwaters(...given: readonly string[]): ReturnType<typeof run> {
    return run(source, ...npm("exec", "--offline", "--", "headwaters", ...given));
  }

  test("is right by its types, and a wrong row is not", async () => {
    const [node, compiler] = tool("typescript", "bin/tsc");
    await run(source, node, compiler);
    await run(source, node, [...compiler, "-p", "test"]);
    const text = await readFile(join(source, "source.ts"), "utf8");
    await writeFile(
      join(source, "wrong.ts"),
      text.replace('upsert("readings", reading)', 'upsert("readings", { idd: id })'),
    );
    await expect(run(source, node, compiler)).rejects.toMatchObject({
      stdout: expect.stringMatching(
        // The row as it is, not what its type was made of: editors show the same.
        /wrong\.ts\(\d+,\d+\).*'idd' does not exist in type '\{ readonly [^&<>]*\bid: number \| bigint;/,
      ) as string,
    });
    await rm(join(source, "wrong.ts"));
  });

  test("is right by its types where nothing is installed beside it", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "headwaters-bare-"));
    try {
      const main = join(folder, "node_modules", "headwaters", "dist", "cli", "main.js");
      await run(elsewhere, process.execPath, [main, "init", "source", "bare"]);
      const [node, compiler] = tool("typescript", "bin/tsc");
      await run(join(elsewhere, "bare"), node, compiler);
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  test("may have its schemas of a zod of its own", async () => {
    const [node, compiler] = tool("typescript", "bin/tsc");
    // The one of the scaffold is installed beside headwaters; this is another instance of it.
    await cp(join(ours, "zod"), join(source, "node_modules", "zod"), { recursive: true, dereference: true });
    const text = await readFile(join(source, "source.ts"), "utf8");
    const own = text
      .replace(
        'import { defineSource, z } from "headwaters";',
        'import { defineSource } from "headwaters";\nimport { z } from "zod";',
      )
      .replace("pageSize:", "token: z.string().meta({ secret: true }),\n    pageSize:");
    try {
      await writeFile(join(source, "own.ts"), own);
      await writeFile(join(source, "own.json"), '{ "token": "hush-hush", "pageSize": "many" }');
      await run(source, node, compiler);
      await expect(headwaters("run", "own.ts", "--configuration", "own.json")).rejects.toMatchObject({
        stderr: expect.stringContaining("pageSize") as string,
      });
      await writeFile(join(source, "own.json"), '{ "token": "hush-hush", "pageSize": "10", "pageSise": "20" }');
      await expect(headwaters("run", "own.ts", "--configuration", "own.json")).rejects.toMatchObject({
        stderr: expect.stringMatching(/pageSise.*pageSize/s) as string,
      });
      await writeFile(join(source, "own.json"), '{ "token": "hush-hush", "pageSize": "10" }');
      const ran = await headwaters(
        "run",
        "own.ts",
        "--configuration",
        "own.json",
        "--destination",
        "duckdb:own.duckdb",
        "--json",
      );
      expect(summary(ran.stdout)).toMatchObject({ table: "readings", inserted: 250, outcome: "whole" });
    } finally {
      for (const name of ["own.ts", "own.json", "node_modules/zod"]) await rm(join(source, name), { recursive: true });
    }
  });

  test("passes the suite that it runs", async () => {
    const [node, runner] = tool("vitest", "vitest.mjs");
    const { stdout } = await run(source, node, [...runner, "run", "--reporter=json"], { VITEST: "" });
    expect(JSON.parse(stdout.slice(stdout.indexOf("{")))).toMatchObject({ success: true, numFailedTests: 0 });
  });

  test("runs, and goes on from there", async () => {
    const first = await headwaters("run", "source.ts", "--json");
    expect(summary(first.stdout)).toMatchObject({ table: "readings", inserted: 250, outcome: "whole" });
    await writeFile(join(source, "configuration.json"), '{ "pageSize": "10" }');
    const second = await headwaters("run", "source.ts", "--configuration", "configuration.json", "--json");
    expect(summary(second.stdout)).toMatchObject({ table: "readings", rowsRead: 0, outcome: "whole" });
    expect((await headwaters("check", "--source", "./source.ts")).stdout).toContain("ready to sync");
  });
});

function summary(lines: string): unknown {
  const last = JSON.parse(lines.trim().split("\n").at(-1)!) as { run: { tables: readonly unknown[] } };
  return last.run.tables[0];
}
