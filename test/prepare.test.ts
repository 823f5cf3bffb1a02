import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../scripts/prepare.mjs", import.meta.url));

/** npm itself runs here, on a package with one dependency that lies beside it. */
const long = 60_000;

describe("scripts/prepare.mjs", () => {
  let folder: string;
  let clone: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "headwaters-prepare-"));
    clone = join(folder, "clone");
    await mkdir(join(clone, "scripts"), { recursive: true });
    await cp(script, join(clone, "scripts", "prepare.mjs"));
    await writeFile(join(clone, "package.json"), JSON.stringify({ name: "clone", version: "1.0.0" }));
    await lock("1.0.0");
  }, long);

  afterEach(() => rm(folder, { recursive: true }));

  /** Brings the dependency to a version, in package.json and lockfile alone. */
  async function lock(version: string): Promise<void> {
    const dependency = join(folder, `dependency-${version}`);
    await mkdir(dependency);
    await writeFile(join(dependency, "package.json"), JSON.stringify({ name: "dependency", version }));
    await run("npm", ["pack", "--pack-destination", clone], { cwd: dependency, shell: process.platform === "win32" });
    await run("npm", ["install", "--package-lock-only", "--offline", `./dependency-${version}.tgz`], {
      cwd: clone,
      shell: process.platform === "win32",
    });
  }

  async function prepare(): Promise<string> {
    return (await run(process.execPath, [join(clone, "scripts", "prepare.mjs")])).stdout;
  }

  async function installed(): Promise<string> {
    const file = join(clone, "node_modules", "dependency", "package.json");
    return (JSON.parse(await readFile(file, "utf8")) as { version: string }).version;
  }

  test("installs in a fresh clone, and not again", { timeout: long }, async () => {
    expect(await prepare()).toContain("Installing");
    expect(await installed()).toBe("1.0.0");
    expect(await prepare()).toBe("");
  });

  test("installs again once the lockfile has another version", { timeout: long }, async () => {
    await prepare();
    await lock("1.0.1");
    expect(await prepare()).toContain("Installing");
    expect(await installed()).toBe("1.0.1");
  });

  test("run twice at once, one installs and the other waits", { timeout: long }, async () => {
    const said = await Promise.all([prepare(), prepare()]);
    expect(said.filter((text) => text.includes("Installing"))).toHaveLength(1);
    expect(await installed()).toBe("1.0.0");
  });

  test("takes over from one that was killed", { timeout: long }, async () => {
    await mkdir(join(clone, ".cache", "prepare.lock"), { recursive: true });
    // No process has this id: it is above the most that any system gives.
    await writeFile(join(clone, ".cache", "prepare.lock", "pid"), String(2 ** 30));
    expect(await prepare()).toContain("Installing");
  });
});
