// Builds `dist` anew from `src`. It is built beside and moved into place, so that what runs from `dist` meanwhile finds
// its files, and a build that fails leaves the last good one.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { bundle, manifest, root, writePapers } from "./bundle.mjs";

const dist = join(root, "dist");
const fresh = join(root, `.dist-${process.pid}`);
const old = `${fresh}-old`;

try {
  declareTypes(fresh);
  writePapers(fresh, [...(await bundleProgram(fresh)), ...(await bundlePage(join(fresh, "page")))]);
  await bundleWorkflows(join(fresh, "cluster"));
  chmodSync(join(fresh, "cli", "main.js"), 0o755);
  // Read when a source is served.
  cpSync(join(root, "src", "fivetran", "connector.proto"), join(fresh, "fivetran", "connector.proto"));
  move(dist, old, "ENOENT");
  // Another build that ran at the same time may be in place already: it is of the same sources.
  move(fresh, dist, "ENOTEMPTY");
} catch (error) {
  // The compiler has said what is wrong.
  if (error.status === undefined) throw error;
  process.exitCode = 1;
} finally {
  for (const folder of [fresh, old]) rmSync(folder, { recursive: true, force: true });
}

/** The types of what the package exports. */
function declareTypes(outDir) {
  const compiler = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
  const args = ["-p", "tsconfig.build.json", "--outDir", outDir];
  execFileSync(process.execPath, [compiler, ...args], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
}

/** One bundle for all entries, so that a source of the user's and the command line share its parts. */
function bundleProgram(outdir) {
  return bundle({
    entryPoints: ["cli/main", "sdk/index", "testing/index"].map((name) => join(root, "src", `${name}.ts`)),
    outbase: join(root, "src"),
    outdir,
    // As deep as the modules of `src`: paths from there to the package's files hold.
    chunkNames: "chunks/[name]-[hash]",
    splitting: true,
    format: "esm",
    // What users install with it; and what pg looks for where it may be missing.
    external: [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies), "pg-native"],
    // Packages of the older module system ask for Node.js's own parts by it.
    banner: {
      js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
    },
  });
}

/** What runs in Temporal's sandbox: bundled here, so that workers of one version run the same, and need no bundler. */
async function bundleWorkflows(outdir) {
  const { bundleWorkflowCode } = await import("@temporalio/worker");
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error: (message) => console.error(message) };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, "src", "cluster", "workflow.ts"),
    logger: quiet,
  });
  mkdirSync(outdir, { recursive: true });
  writeFileSync(join(outdir, "workflow-bundle.js"), withoutPaths(code));
}

/** Workers want the map that a bundle ends with. It would say the paths of this machine, and the sources, which are in the code. */
function withoutPaths(code) {
  return code.replace(/(sourceMappingURL=data:[^,]*,)(\S+)/, (_, head, encoded) => {
    const { sourcesContent: _content, ...map } = JSON.parse(Buffer.from(encoded, "base64").toString());
    return head + Buffer.from(JSON.stringify(map).replaceAll(root, "")).toString("base64");
  });
}

/** The page of the service, for browsers: one script and one style sheet, which ask no other host for anything. */
async function bundlePage(outdir) {
  const page = join(root, "src", "page");
  const packages = await bundle({
    entryPoints: ["main.tsx", "page.css"].map((file) => ({ in: join(page, file), out: "page" })),
    outdir,
    platform: "browser",
    target: "es2023",
    format: "esm",
    minify: true,
    // The licences are in LICENSES.txt.
    legalComments: "none",
  });
  for (const file of ["index.html", "icon.svg"]) cpSync(join(page, file), join(outdir, file));
  return packages;
}

/** `unless`: an error code that is as good as done. */
function move(from, to, unless) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== unless) throw error;
  }
}
