import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Our own `package.json`. */
export const manifest = readJson(join(root, "package.json"));

/**
 * Puts our own code and the packages that it uses into few files. `options` are esbuild's. Returns the packages that
 * are in them, for {@link writePapers}.
 */
export async function bundle(options) {
  const { metafile } = await build({
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node20",
    metafile: true,
    logLevel: "warning",
    plugins: [withoutCloudflare],
    ...options,
  });
  const folders = new Set(Object.keys(metafile.inputs).map(packageFolder).filter(Boolean));
  return [...folders].sort().map((folder) => bundledPackage(join(root, folder)));
}

/** pg asks for `Response` to find out whether it runs at Cloudflare. In Node.js that loads undici, for 20 ms. */
const withoutCloudflare = {
  name: "without Cloudflare",
  setup(build) {
    build.onLoad({ filter: /node_modules[/\\]pg[/\\]lib[/\\]stream\.js$/ }, ({ path }) => {
      const asks = "typeof Response === 'function'";
      const text = readFileSync(path, "utf8");
      if (!text.includes(asks)) throw new Error(`pg no longer asks for Response: see ${path}`);
      return { contents: text.replace(asks, "false") };
    });
  },
};

/**
 * Writes what a bundle contains: `LICENSES.txt` for people, and for scanners `sbom.cdx.json`, a bill of materials as
 * CycloneDX 1.6 has it. `npm audit` sees only what is installed, so it knows nothing of a bundle.
 */
export function writePapers(folder, packages) {
  const texts = packages.map(({ name, version, license, notices }) =>
    [`${name} ${version}, ${license}`, "=".repeat(80), ...notices].join("\n"),
  );
  writeFileSync(join(folder, "LICENSES.txt"), `${texts.join("\n\n")}\n`);
  writeFileSync(join(folder, "sbom.cdx.json"), `${JSON.stringify(billOfMaterials(packages), null, 2)}\n`);
}

/** https://cyclonedx.org/docs/1.6/json/ */
function billOfMaterials(packages) {
  const { name, version, license } = manifest;
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: component({ type: "application", name, version, license }) },
    components: packages.map(component),
  };
}

/** `purl`: https://github.com/package-url/purl-spec; an npm package's, where none is given. */
function component({ type = "library", name, version, license, purl, cpe }) {
  const url = purl ?? `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return { type, "bom-ref": url, name, version, licenses: [{ expression: license }], purl: url, ...(cpe && { cpe }) };
}

/** The folder of the package that a file belongs to; `undefined`: it is our own. */
function packageFolder(file) {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

/** Without a file of its licence, a package is named with its author. Throws where neither is known. */
function bundledPackage(folder) {
  const { name, version, license, author } = readJson(join(folder, "package.json"));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)\b/i.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  const by = author?.name ?? author;
  if (license === undefined || (texts.length === 0 && by === undefined)) {
    throw new Error(`${name} ${version} has no licence, or nobody who gives it: it can't be bundled`);
  }
  return { name, version, license, notices: texts.length > 0 ? texts : [`by ${by}`] };
}

function readJson(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}
