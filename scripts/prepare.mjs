// Installs the packages of package-lock.json where they are not there yet, so that `npm test` and `npm run demo` work
// in a fresh clone. Uses nothing but Node, and may run twice at once.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const lock = join(root, ".cache", "prepare.lock");

if (!isInstalled()) {
  await takeLock();
  try {
    // Whoever held the lock before has installed meanwhile.
    if (!isInstalled()) install();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/**
 * Every package of the lockfile is there in its version; optional ones may be absent, they are for other platforms.
 * npm's own record inside node_modules, which it writes last, tells that no install was broken off. It tells no more:
 * `npm install --package-lock-only` brings it up to date without installing anything.
 */
function isInstalled() {
  const wanted = readJson(join(root, "package-lock.json"));
  if (!existsSync(join(root, "node_modules", ".package-lock.json"))) return false;
  return Object.entries(wanted.packages).every(([path, { version, optional, devOptional }]) => {
    if (path === "") return true;
    const found = readJson(join(root, path, "package.json"));
    return found === null ? Boolean(optional || devOptional) : found.version === version;
  });
}

function install() {
  process.stdout.write("Installing the packages of package-lock.json …\n");
  // npm says how it was started; without it (plain `node scripts/prepare.mjs`) the one on the path is used.
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith("npm-cli.js") ? [process.execPath, [npm]] : ["npm", []];
  const { status, error } = spawnSync(command, [...first, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32" && command === "npm",
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`npm ci ended with exit code ${status}`);
}

/** A folder that one process can make; it is taken over where its maker is gone. */
async function takeLock() {
  for (;;) {
    try {
      mkdirSync(join(root, ".cache"), { recursive: true });
      mkdirSync(lock);
      writeFileSync(join(lock, "pid"), String(process.pid));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    await delay(250);
    if (isHolderGone()) rmSync(lock, { recursive: true, force: true });
  }
}

function isHolderGone() {
  const pid = readJson(join(lock, "pid"));
  if (pid === null) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

/** `null`: there is no such file, or it is being written. */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}
