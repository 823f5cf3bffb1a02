import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { postgresType } from "../../src/destinations/postgresql/types.ts";
import type { Kind } from "../../src/protocol/types.ts";
import { parseType } from "../../src/toolkit/types.ts";

test("the page of the PostgreSQL destination has what each type becomes", async () => {
  const page = await readFile(new URL("../../src/destinations/postgresql/README.md", import.meta.url), "utf8");
  const section = page.slice(page.indexOf("## Types"), page.indexOf("## What the user needs"));
  const rows = [...section.matchAll(/^\| ([A-Z_]+)(\(p,s\))? \| (.+) \|$/gm)];
  const kinds = rows.map(([, kind]) => kind as Kind);
  for (const [, kind, digits, native] of rows) {
    const type = parseType(digits === undefined ? kind! : `${kind}(9,4)`)!;
    expect(native!.replace("(p,s)", "(9,4)")).toBe(postgresType(type));
  }
  expect(new Set(kinds).size).toBe(16);
});
