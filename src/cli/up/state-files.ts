import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import { type Memory, nothingRemembered, type Remembered } from "../../service/host.ts";
import { recordFolder } from "../attempts.ts";

/** The folder of the service's own files: no connection can have this name. */
export function serviceFolder(home: string, variables: NodeJS.ProcessEnv): string {
  const state = variables["HEADWATERS_STATE"] ?? "";
  return join(state === "" ? join(home, recordFolder) : resolve(state), ".service");
}

export function memoryIn(folder: string): Memory {
  const file = join(folder, "state.json");
  return {
    load: () => ({ ...nothingRemembered, ...(JSON.parse(read(file) ?? "{}") as Partial<Remembered>) }),
    save: (remembered) => write(file, JSON.stringify(remembered)),
  };
}

/** The token of this service: the one that was made before, or a new one. */
export function tokenIn(folder: string): { readonly token: string; readonly file: string; readonly isNew: boolean } {
  const file = join(folder, "token");
  const known = read(file)?.trim() ?? "";
  if (known !== "") return { token: known, file, isNew: false };
  const token = randomBytes(24).toString("base64url");
  try {
    write(file, `${token}\n`);
  } catch (thrown) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `the token can't be written to ${file} (${(thrown as NodeJS.ErrnoException).code})`,
      { hint: "Set HEADWATERS_STATE to another folder, or set service.token.", cause: thrown },
    );
  }
  return { token, file, isNew: true };
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw asHeadwatersError(thrown);
  }
}

/** Written whole or not at all, and for its owner only. */
function write(file: string, text: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (basename(dirname(folder)) === recordFolder) writeFileSync(join(dirname(folder), ".gitignore"), "*\n");
  writeFileSync(`${file}.partial`, text, { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}
