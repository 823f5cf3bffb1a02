// Builds `dist` anew from `src`. It is built beside and moved into place, so that what runs from `dist` meanwhile finds
// its files, and a build that fails leaves the last good one.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [dist, fresh, old] = ["dist", `.dist-${process.pid}`, `.dist-${process.pid}-old`].map((name) => join(root, name));
// Read when a source is served; the compiler leaves it behind.
const protocol = join("fivetran", "connector.proto");
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

try {
  const { status, error } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", fresh], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error !== undefined) throw error;
  if (status !== 0) process.exitCode = 1;
  else {
    chmodSync(join(fresh, "cli", "main.js"), 0o755);
    copyFileSync(join(root, "src", protocol), join(fresh, protocol));
    move(dist, old, "ENOENT");
    // Another build that ran at the same time may be in place already: it is of the same sources.
    move(fresh, dist, "ENOTEMPTY");
  }
} finally {
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
}

/** `unless`: an error code that is as good as done. */
function move(from, to, unless) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== unless) throw error;
  }
}
