import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { HeadwatersError } from "../../protocol/errors.ts";

/** The environment, with what the file `.env` in this folder adds to it. A variable that is set already stays. */
export async function withEnvFile(folder: string, variables: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  try {
    return { ...parseEnv(await readFile(join(folder, ".env"), "utf8")), ...variables };
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    // A folder of this name belongs to something else.
    if (code === "ENOENT" || code === "EISDIR") return variables;
    throw new HeadwatersError("CONFIGURATION_INVALID", `.env can't be read (${code}).`, {
      hint: "Check its permissions, or move it away.",
      cause: thrown,
    });
  }
}
