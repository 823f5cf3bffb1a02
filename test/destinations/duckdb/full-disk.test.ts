import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeWith, MissingServer } from "../../servers/require.ts";

const run = promisify(execFile);
/** Runs a program in a mount namespace of its own, in which `folder` is a disk of so many mebibytes. */
function onDisk(folder: string, mebibytes: number, program: readonly string[]): Promise<{ readonly stdout: string }> {
  const shell = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@"';
  return run("unshare", ["-rm", "sh", "-c", shell, "sh", String(mebibytes), folder, ...program]);
}

const script = fileURLToPath(new URL("fill-disk.ts", import.meta.url));

/** A folder for a small disk, which only a process in a mount namespace of its own sees. */
async function smallDisk(): Promise<AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "headwaters-disk-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true });
  try {
    await onDisk(folder, 1, ["true"]);
  } catch (thrown) {
    await remove();
    throw new MissingServer(
      `this machine lets nobody mount a small disk: ${(thrown as Error).message.split("\n", 1)[0]}`,
    );
  }
  return { folder, [Symbol.asyncDispose]: remove };
}

await describeWith(smallDisk, "a full disk", (disk) => {
  test.each([
    ["while the log is written", 14, 2_500],
    ["while rows are written", 40, 250_000],
  ])("%s undoes the commit, and no more", { timeout: 120_000 }, async (_, mebibytes, rowsPerCommit) => {
    const program = [process.execPath, "--import", "tsx", script, disk.folder, String(rowsPerCommit)];
    const { stdout } = await onDisk(disk.folder, mebibytes, program);
    const { id, error, full, reopened, after } = JSON.parse(stdout);
    expect(error.code).toBe("DESTINATION_FULL");
    expect(error.message).toContain(join(disk.folder, "copy.duckdb"));
    const whole = { rows: id, progress: id };
    expect([full, reopened]).toEqual([whole, whole]);
    expect(after).toEqual({ rows: id + 500, progress: id + 500 });
  });
});
