// Makes single executables of the connectors, for the platform and with the Node.js that run this:
//   npm run executable                  build/headwaters-<source>-<platform>-<architecture>, of every source
//   npm run executable -- yugabytedb    of this one
// https://nodejs.org/docs/latest-v20.x/api/single-executable-applications.html
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { inject } from "postject";
import { bundle, root, writePapers } from "./bundle.mjs";

const out = join(root, "build");
const every = ["cassandra", "scylladb", "postgresql", "yugabytedb", "rethinkdb", "redis", "valkey", "dragonflydb"];
const wanted = process.argv.length > 2 ? process.argv.slice(2) : every;
const unknown = wanted.find((source) => !every.includes(source));
if (unknown !== undefined) throw new Error(`there is no source ${unknown}; there are ${every.join(", ")}`);

const work = mkdtempSync(join(tmpdir(), "headwaters-"));
try {
  mkdirSync(out, { recursive: true });
  const main = join(work, "main.cjs");
  writePapers(out, [...(await bundleProgram(main)), nodeItself()]);
  for (const source of wanted) console.log(await executable(source, main));
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** The bundle that every executable runs. */
function bundleProgram(outfile) {
  return bundle({
    entryPoints: [join(root, "src", "cli", "executable.ts")],
    format: "cjs",
    outfile,
    logLevel: "error",
    // Only `verify` asks the driver; pg looks for the other where it may be missing. Of DuckDB nothing may be here: its
    // native part could not be bundled, and would fail this.
    external: ["cassandra-driver", "pg-native"],
    // Asked only where the protocol's description is a file, and not an asset.
    define: { "import.meta.url": '"file:///"' },
  });
}

/** Node.js as one more package of the bundle; some distributions leave its licence out. */
function nodeItself() {
  const file = join(dirname(dirname(process.execPath)), "LICENSE");
  const version = process.versions.node;
  const notice = existsSync(file)
    ? readFileSync(file, "utf8").trim()
    : `https://github.com/nodejs/node/blob/v${version}/LICENSE`;
  return {
    type: "platform",
    name: "Node.js",
    version,
    license: "MIT",
    purl: `pkg:generic/node@${version}`,
    cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
    notices: [notice],
  };
}

async function executable(source, main) {
  const paths = { source: join(work, "source"), blob: join(work, "blob"), config: join(work, "config.json") };
  writeFileSync(paths.source, source);
  writeFileSync(
    paths.config,
    JSON.stringify({
      main,
      output: paths.blob,
      disableExperimentalSEAWarning: true,
      assets: { source: paths.source, "connector.proto": join(root, "src", "fivetran", "connector.proto") },
    }),
  );
  execFileSync(process.execPath, ["--experimental-sea-config", paths.config], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const suffix = process.platform === "win32" ? ".exe" : "";
  const file = join(out, `headwaters-${source}-${process.platform}-${process.arch}${suffix}`);
  rmSync(file, { force: true });
  copyFileSync(process.execPath, file);
  chmodSync(file, 0o755);
  const isMac = process.platform === "darwin";
  // macOS runs no program whose signature does not fit.
  if (isMac) execFileSync("codesign", ["--remove-signature", file]);
  await inject(file, "NODE_SEA_BLOB", readFileSync(paths.blob), {
    sentinelFuse: "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2",
    ...(isMac ? { machoSegmentName: "NODE_SEA" } : {}),
  });
  if (isMac) execFileSync("codesign", ["--sign", "-", file]);
  return file;
}
