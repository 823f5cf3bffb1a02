import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Log } from "../../protocol/log.ts";
import { isAlive, ownProcess, type RecordedProcess } from "../attempts.ts";

/** How often a claim is renewed, in milliseconds. */
const beat = 10_000;

/**
 * A claim of another machine is void if it was not renewed for this long, in milliseconds: its processes can't be seen
 * from here.
 */
const silence = 60_000;

interface Claim extends RecordedProcess {
  readonly since: string;
}

/**
 * Claims the folder of the service for this process, until it ends: two services would both write to its state, send each
 * alert twice, and take connections from each other. Each process writes its own claim before it looks for others, so if
 * two start at the same time, at least one sees the other. Throws `SERVICE_RUNNING`.
 */
export function claim(folder: string, log: Log): AsyncDisposable {
  const file = join(folder, `up-${randomUUID()}.json`);
  const own: Claim = { ...ownProcess(), since: new Date().toISOString() };
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, JSON.stringify(own), { mode: 0o600 });
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    log.warn(`${folder} can't be written (${code}), so a second headwaters up for this file would not be noticed`);
    return { [Symbol.asyncDispose]: async () => {} };
  }
  const other = otherClaim(folder, file);
  if (other !== null) {
    rmSync(file, { force: true });
    throw new HeadwatersError(
      "SERVICE_RUNNING",
      `another headwaters up runs for this file: process ${other.pid} on ${other.host}, since ${other.since}.`,
      {
        hint: "Use its page, or stop it first. To run a second service, put its file into another folder, or set HEADWATERS_STATE to another folder.",
      },
    );
  }
  const renew = (): void => {
    const now = new Date();
    try {
      utimesSync(file, now, now);
    } catch (thrown) {
      log.warn(`${file} can't be renewed (${(thrown as NodeJS.ErrnoException).code})`);
    }
  };
  const timer = setInterval(renew, beat).unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      rmSync(file, { force: true });
    },
  };
}

/** The claim of another running process. Claims that ended processes left behind are removed. */
function otherClaim(folder: string, own: string): Claim | null {
  const now = statSync(own).mtimeMs;
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (!/^up-.+\.json$/.test(name) || file === own) continue;
    try {
      const other = JSON.parse(readFileSync(file, "utf8")) as Claim;
      const isThere = other.host === hostname() ? isAlive(other) : now - statSync(file).mtimeMs < silence;
      if (isThere) return other;
      rmSync(file, { force: true });
    } catch (thrown) {
      // It was removed meanwhile, or its process was killed while writing it.
      if (!(thrown instanceof SyntaxError) && (thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown;
    }
  }
  return null;
}
