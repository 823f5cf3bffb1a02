import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const src = join(root, "src");
const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");

/** Rooms that every other may import are left out of the picture. */
const everywhere = new Set(["toolkit", "protocol"]);

function* modules(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* modules(path);
    else if (/\.tsx?$/.test(entry.name) && !entry.name.endsWith(".test.ts")) yield path;
  }
}

function roomOf(path: string): string {
  return relative(src, path).split("/")[0]!;
}

function imports(): Set<string> {
  const arrows = new Set<string>();
  for (const path of modules(src)) {
    for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
      const [from, to] = [roomOf(path), roomOf(resolve(dirname(path), target!))];
      if (from !== to && !everywhere.has(to)) arrows.add(`${from} --> ${to}`);
    }
  }
  return arrows;
}

test("the picture has the imports between the rooms, and no others", () => {
  const drawn = [...page.matchAll(/^ {2}(\w+ --> \w+)$/gm)].map(([, arrow]) => arrow!);
  expect(new Set(drawn).size).toBe(drawn.length);
  expect([...drawn].sort()).toEqual([...imports()].sort());
});

test("every room is described, and no other", () => {
  const described = [...page.matchAll(/^\| (`\w+\/`(?:, `\w+\/`)*) \|/gm)].flatMap(([, names]) =>
    names!.match(/\w+/g)!,
  );
  expect(described.sort()).toEqual(readdirSync(src).sort());
});
