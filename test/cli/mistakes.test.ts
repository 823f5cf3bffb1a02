import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { type CliRun, runCli } from "./run-cli.ts";

const source = (body: string): string => `
  import { defineSource } from "headwaters";
  export default defineSource({ name: "shop", schema: { a: { key: ["id"], columns: { id: "LONG" } }, b: { key: ["id"], columns: { id: "LONG" } } },
    async *update({ upsert, checkpoint }) { ${body} yield upsert("a", { id: 1 }); yield checkpoint({}); } });`;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headwaters-mistakes-"));
  await writeFile(join(folder, "shop.ts"), source(""));
  return () => rm(folder, { recursive: true });
});

function cli(line: string): Promise<CliRun> {
  return runCli(line.split(" "), { folder });
}

describe("a DuckDB file that is called as its schema (case 33)", () => {
  test.each(["shop.duckdb", "Shop.v2.db", "shop"])("%s is refused before it is made", async (file) => {
    const { code, error } = await cli(`run shop.ts --destination duckdb:${file}`);
    expect([code, error]).toEqual([
      2,
      expect.stringMatching(
        /path: DuckDB calls the database in .* so that queries of shop\.<table> are ambiguous.*\n {2}Give the file/,
      ),
    ]);
    expect(await readdir(folder)).not.toContain(file);
    expect((await cli(`check --source ./shop.ts --destination duckdb:${file}`)).out).toContain("are ambiguous");
  });

  test("another name of either works", async () => {
    expect((await cli("run shop.ts --destination duckdb:shop-copy.duckdb")).code).toBe(0);
    expect((await cli("run shop.ts --destination duckdb:shop.duckdb --schema store")).code).toBe(0);
  });
});

describe("check tests the destination (case 31)", () => {
  test("a folder that does not exist, or where nothing can be made", async () => {
    await writeFile(join(folder, "file"), "");
    for (const [file, problem] of [
      ["none/w.duckdb", "does not exist"],
      ["file/w.duckdb", /file/],
      ["/proc/w.duckdb", "no file can be made in /proc"],
      [".", "is a folder"],
    ] as const) {
      const { code, out } = await cli(`check --source ./shop.ts --destination duckdb:${file}`);
      expect([file, code]).toEqual([file, 2]);
      expect(out).toMatch(problem);
      expect(out).not.toContain("ready");
    }
    expect((await cli("check --source ./shop.ts")).out).toMatch(/it does not exist yet[^]*ready to sync/);
    expect((await readdir(folder)).sort()).toEqual(["file", "shop.ts"]);
  });

  test("export to a bad place is a clear error", async () => {
    await cli("run shop.ts --destination duckdb:w.duckdb");
    await writeFile(join(folder, "file"), "");
    for (const to of ["file", "file/below", "/proc/out"]) {
      const { code, error } = await cli(`export parquet --source ./shop.ts --destination duckdb:w.duckdb --to ${to}`);
      expect([code, error]).toEqual([2, expect.stringMatching(/--to: no file can be made in .*\n {2}Give this user/)]);
    }
  });
});

describe("small mistakes (case 34)", () => {
  test("MotherDuck is no file", async () => {
    const { code, error } = await cli("run shop.ts --destination duckdb:md:shop");
    expect([code, error]).toEqual([2, expect.stringContaining("must be a file on this machine")]);
    expect(await readdir(folder)).toEqual(["shop.ts"]);
  });

  test("a folder is no source", async () => {
    await mkdir(join(folder, "weather.ts"));
    const { code, error } = await cli("run weather.ts");
    expect([code, error]).toEqual([
      2,
      expect.stringMatching(/the source weather\.ts is a folder.*\n {2}Name the file in it/),
    ]);
  });

  test("what several tables failed by is said once", async () => {
    await writeFile(join(folder, "shop.ts"), source('throw new Error("away");'));
    const { error } = await cli("run shop.ts");
    expect(error.match(/away/g)).toHaveLength(1);
    expect(error).toMatch(/^error a and b: /);
  });

  test("lines name the connection if there are several", async () => {
    await writeFile(join(folder, "shop.ts"), source('throw new Error("away");'));
    const entry = (name: string): string =>
      `  ${name}:\n    source: { type: ./shop.ts }\n    destination: duckdb:${name}.db\n`;
    await writeFile(join(folder, "headwaters.yaml"), `connections:\n${entry("one")}${entry("two")}`);
    const { error, out } = await cli("sync");
    expect(error).toMatch(/^error one: a and b: .*away[^]*\nerror two: a and b: .*away/);
    expect(out).toContain("\ntwo: a: failed\n");
    expect((await cli("sync one")).error).toMatch(/^error a and b: /);
  });

  test("a copy that was whole keeps its moment when a sync fails", async () => {
    await cli("run shop.ts");
    await writeFile(join(folder, "shop.ts"), source('throw new Error("away");'));
    expect((await cli("run shop.ts")).out).not.toContain("never whole");
  });
});

test.each([
  [
    'import { x } from "./none.ts"; x;',
    /^error shop\.ts can't be loaded: .*none\.ts.*\n {2}Check the path in its import.*\n$/,
  ],
  [
    'import "no-such-package";',
    /^error shop\.ts can't be loaded: .*\n {2}Install it beside the source: npm install no-such-package\n$/,
  ],
  [
    'import x from "@no/such/file"; x;',
    /^error shop\.ts can't be loaded: .*\n {2}Install it beside the source: npm install @no\/such\n$/,
  ],
  [
    'import { defineSources } from "headwaters"; defineSources({});',
    /^error shop\.ts can't be loaded: "headwaters" exports no "defineSources" .*\n {2}Did you mean defineSource\?\n$/,
  ],
])("an import that fails is one line: %s (case 36)", async (line, message) => {
  await writeFile(join(folder, "shop.ts"), `${line}\n${source("")}`);
  const { code, error } = await cli("run shop.ts");
  expect([code, error]).toEqual([2, expect.stringMatching(message)]);
});
