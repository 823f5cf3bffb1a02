import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What `docs/moving-from-python.md` imports beside. */
const db = `
export interface Db extends AsyncDisposable {}
export declare function connect(configuration: object): Promise<Db>;
export declare function tables(db: Db): Promise<readonly string[]>;
export declare function keys(db: Db, table: string): Promise<readonly string[]>;
export declare function rowsSince(db: Db, table: string, since?: string): AsyncIterable<{ updated_at: string }[]>;
`;

let folder: string;
beforeAll(async () => {
  await mkdir(join(root, "build"), { recursive: true });
  folder = await mkdtemp(join(root, "build", "docs-typescript-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The blocks of TypeScript of a page, each in a file of its own. The first is the source that later ones import. */
async function writeBlocks(page: string, into: string): Promise<readonly string[]> {
  const text = await readFile(join(root, "docs", page), "utf8");
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, body]) => body!);
  await mkdir(into);
  await writeFile(join(into, "db.ts"), db);
  const names = blocks.map((_, index) => (index === 0 ? "source.ts" : `block-${index}.ts`));
  for (const [index, body] of blocks.entries()) await writeFile(join(into, names[index]!), body);
  return names;
}

test.each(["sdk.md", "moving-from-python.md"])("the TypeScript of %s compiles", async (page) => {
  const into = join(folder, page.replace(".md", ""));
  const names = await writeBlocks(page, into);
  expect(names).not.toEqual([]);
  const paths = { headwaters: [`${root}src/sdk/index.ts`], "headwaters/testing": [`${root}src/testing/index.ts`] };
  // The last block throws twice, one error for each kind.
  const compilerOptions = { noEmit: true, paths, allowUnreachableCode: true };
  await writeFile(
    join(into, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions, include: ["*.ts"] }),
  );
  expect(await compile(into)).toBe("");
});

/** What the compiler says. */
function compile(into: string): Promise<string> {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "-p", into], (error, stdout) => resolve(error === null ? "" : stdout));
  });
}
