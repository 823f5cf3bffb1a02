import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { failedCheck } from "../../toolkit/checks.ts";
import { assertCreatable } from "../../toolkit/creatable.ts";
import type { Configuration } from "./config.ts";
import { realFile } from "./database.ts";
import { openFile } from "./file.ts";
import { refuseAmbiguous } from "./file-name.ts";
import type { Session } from "./session.ts";

/** With less free disk space than this, in bytes, the user is warned. */
const littleRoom = 1 << 30;

const open = { name: "open", label: "Open the file" } as const;

/** Checks whether the file can be written, or made where there is none yet. Leaves nothing behind. */
export async function* checkDestination(
  configuration: Configuration,
  context: DestinationContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  signal.throwIfAborted();
  let path: string;
  let isThere: boolean;
  try {
    path = await realFile("path", configuration.path);
    isThere = existsSync(path);
    await refuseAmbiguous(path, context);
    if (!isThere) await assertCreatable("path", path);
  } catch (thrown) {
    yield failedCheck(open.name, open.label, thrown);
    return;
  }
  if (!isThere) {
    yield { ...open, status: "ok", message: "it does not exist yet; the first sync creates it" };
    yield await room(path);
    return;
  }
  let file;
  try {
    file = await openFile(configuration, false);
  } catch (thrown) {
    yield failedCheck(open.name, open.label, thrown);
    return;
  }
  try {
    const session = await file.instance.connect();
    try {
      yield* checkFile(path, session, signal);
    } finally {
      await session.close();
    }
  } finally {
    await file.instance.leave();
  }
}

/** Checks an open file. */
export async function* checkFile(path: string, session: Session, signal: AbortSignal): AsyncGenerator<CheckResult> {
  signal.throwIfAborted();
  yield { ...open, status: "ok", message: `${path} is open, and no other process has it` };
  try {
    await session.run("BEGIN; CREATE TABLE main.headwaters_check (a INTEGER); ROLLBACK");
    yield { name: "write", label: "Write to it", status: "ok", message: "the file can be written" };
  } catch (thrown) {
    await session.rollback();
    yield { name: "write", label: "Write to it", status: "failed", message: (thrown as HeadwatersError).message };
  }
  yield await room(path);
}

async function room(path: string): Promise<CheckResult> {
  const { bavail, bsize } = await statfs(dirname(path));
  const bytes = bavail * bsize;
  const free = `${(bytes / 2 ** 30).toFixed(1)} GiB are free`;
  return bytes < littleRoom
    ? { name: "room", label: "Room on the disk", status: "warning", message: `only ${free} beside ${path}` }
    : { name: "room", label: "Room on the disk", status: "ok", message: free };
}
