import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Tables of variables that DuckDB and libpq read, or that tests read. */
const ofOthers = /^AWS_/;
/** What `src/servers` hands to the servers that it starts. */
const handedOn = new Set(["PATH", "HOME"]);

test("the page of environment variables has those of the code", () => {
  const page = readFileSync(`${root}docs/reference/environment.md`, "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const named = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
  const files = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const read = files
    .filter((name) => !name.endsWith(".test.ts"))
    .flatMap((name) => [
      ...readFileSync(`${root}src/${name}`, "utf8").matchAll(/(?:env|variables|environment)\["([A-Z][A-Z_]+)"\]/g),
    ])
    .map(([, name]) => name!)
    .filter((name) => !handedOn.has(name));
  expect([...new Set(read)].sort()).toEqual(named.filter((name) => !ofOthers.test(name)).sort());
});
