import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HeadwatersError } from "../protocol/errors.ts";

/** Throws `DESTINATION_UNUSABLE` if a file can't be made beside `path`, by making one. `setting`: the setting in errors. */
export async function assertCreatable(setting: string, path: string): Promise<void> {
  const folder = dirname(path);
  const probe = join(folder, `.headwaters-check-${process.pid}`);
  try {
    await writeFile(probe, "", { flag: "wx", mode: 0o600 });
    await rm(probe);
  } catch (thrown) {
    const { code = String(thrown) } = thrown as NodeJS.ErrnoException;
    throw new HeadwatersError("DESTINATION_UNUSABLE", `${setting}: no file can be made in ${folder} (${code})`, {
      hint: "Give this user the right to write the folder, or choose another path.",
      cause: thrown,
    });
  }
}

/** As {@link assertCreatable}, for a folder that is made with all folders above it that are missing. */
export async function assertFolderCreatable(setting: string, folder: string): Promise<void> {
  let above = folder;
  while (!existsSync(above) && dirname(above) !== above) above = dirname(above);
  await assertCreatable(setting, join(above, "x"));
}
