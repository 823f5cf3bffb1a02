// Builds `dist` anew from `src`. It is built beside and moved into place, so that what runs from `dist` meanwhile finds
// its files, and a build that fails leaves the last good one.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";

import { bundle, root } from "./bundle.mjs";

const [dist, fresh, old] = ["dist", `.dist-${process.pid}`, `.dist-${process.pid}-old`].map((name) => join(root, name));
const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

try {
  const { status, error } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", fresh], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error !== undefined) throw error;
  if (status !== 0) process.exitCode = 1;
  else {
    writeFileSync(join(fresh, "LICENSES.txt"), await program());
    chmodSync(join(fresh, "cli", "main.js"), 0o755);
    // Read when a source is served.
    mkdirSync(join(fresh, "fivetran"), { recursive: true });
    copyFileSync(join(root, "src", "fivetran", "connector.proto"), join(fresh, "fivetran", "connector.proto"));
    move(dist, old, "ENOENT");
    // Another build that ran at the same time may be in place already: it is of the same sources.
    move(fresh, dist, "ENOTEMPTY");
  }
} finally {
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
}

/** One bundle for all entries, so that a source of the user's and the command line share its parts. */
function program() {
  return bundle({
    entryPoints: ["cli/main", "sdk/index", "testing/index"].map((name) => join(root, "src", `${name}.ts`)),
    outbase: join(root, "src"),
    outdir: fresh,
    // As deep as the modules of `src`: paths from there to the package's files hold.
    chunkNames: "chunks/[name]-[hash]",
    splitting: true,
    format: "esm",
    // What users install with it. Of zod they need the types, which ours name; its code is among what starts slowly.
    external: [...Object.keys(dependencies).filter((name) => name !== "zod"), "pg-native"],
    // Packages of the older module system ask for Node.js's own parts by it.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
    },
  });
}

/** `unless`: an error code that is as good as done. */
function move(from, to, unless) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== unless) throw error;
  }
}
