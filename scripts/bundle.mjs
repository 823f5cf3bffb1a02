import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * Puts own code and the packages that it uses into few files, which Node.js starts much sooner than many. `options` are
 * esbuild's. Gives the licences of the packages that are in them, as one text.
 */
export async function bundle(options) {
  const { metafile } = await build({
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node20",
    metafile: true,
    logLevel: "warning",
    ...options,
  });
  const packages = new Set(Object.keys(metafile.inputs).map(packageOf).filter(Boolean));
  return [...packages].sort().map(licence).join("\n\n");
}

/** The folder of the package that a file belongs to; `undefined`: it is our own. */
function packageOf(file) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

/** Packages without such a file say in `package.json` alone who made them, and under which licence. */
function licence(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const papers = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)\b/i.test(file));
  const texts = papers.map((file) => readFileSync(join(root, folder, file), "utf8").trim());
  const by = texts.length > 0 ? [] : [`by ${author?.name ?? author}`];
  return [`${name} ${version}, ${license}`, "=".repeat(80), ...by, ...texts].join("\n");
}
