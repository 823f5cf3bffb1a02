import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/**
 * A folder in the user's cache that is made once. `fill` fills a temporary folder, which is then renamed; so the
 * contents must not depend on their path.
 */
export async function cachedFolder(
  kind: string,
  name: string,
  fill: (folder: string) => Promise<unknown>,
): Promise<string> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "headwaters", kind);
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, "coming-"));
  try {
    await fill(work);
    await rename(work, folder);
  } catch (error) {
    // Another process may have filled the folder at the same time.
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
