import { readFile } from "node:fs/promises";

/** What a source wrote into its journal. */
export async function journalOf<Line>(path: string): Promise<readonly Line[]> {
  const text = await readFile(path, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}
