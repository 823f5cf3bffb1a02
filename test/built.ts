import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The path of a file of `dist`, for tests that run Headwaters as a process of its own (Node 20 runs no TypeScript). */
export function built(path: string): string {
  const file = fileURLToPath(new URL(`../dist/${path}`, import.meta.url));
  if (!existsSync(file)) throw new Error(`dist/${path} does not exist: run \`npm run build\` first`);
  return file;
}
