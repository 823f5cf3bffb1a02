/** The values for the files of a new source. */
export interface Scaffold {
  /** The name of the source, of its package and of its folder. */
  readonly name: string;
  /** The versions of its packages, as this version of Headwaters was tested with them. */
  readonly versions: Readonly<Record<"headwaters" | "typescript" | "vitest", string>>;
}

/** The files of a new source, by name. The source works, has types and passes its tests. */
export function scaffoldFiles({ name, versions }: Scaffold): Readonly<Record<string, string>> {
  const { headwaters, ...development } = versions;
  const manifest = {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    scripts: { start: "headwaters run source.ts", test: "vitest run", types: "tsc && tsc -p test" },
    dependencies: { headwaters },
    devDependencies: development,
  };
  const compiler = {
    compilerOptions: {
      target: "es2023",
      module: "nodenext",
      lib: ["es2023", "dom", "dom.iterable"],
      strict: true,
      noUncheckedIndexedAccess: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: ["*.ts"],
  };
  return {
    "package.json": `${JSON.stringify(manifest, null, 2)}\n`,
    "tsconfig.json": `${JSON.stringify(compiler, null, 2)}\n`,
    ".gitignore": "node_modules/\nconfiguration.json\n*.duckdb\n*.duckdb.wal\n",
    "source.ts": source(name),
    "service.ts": service,
    "test/source.test.ts": test,
    // Apart, so that the source is checked without the packages that only its test needs.
    "test/tsconfig.json": `${JSON.stringify({ extends: "../tsconfig.json", include: ["*.ts"] }, null, 2)}\n`,
    "README.md": readme(name),
  };
}

function source(name: string): string {
  return `import { defineSource, z } from "headwaters";
import { changesAfter } from "./service.ts";

export default defineSource({
  name: "${name}",
  // The settings of its users. A secret: z.string().meta({ description: "…", secret: true })
  configuration: z.object({
    pageSize: z.coerce.number().int().min(1).default(100).meta({ description: "Changes to request at a time." }),
  }),
  // The state that a sync keeps for the next one; the first sync begins with these defaults.
  state: z.object({ change: z.number().default(0) }),
  schema: {
    readings: {
      key: ["id"],
      columns: { id: "LONG", at: "UTC_DATETIME", celsius: "DOUBLE", station: "STRING" },
    },
  },
  async *update({ configuration, state, upsert, remove, checkpoint, log, signal }) {
    let { change } = state;
    for (;;) {
      const page = await changesAfter(change, configuration.pageSize, signal);
      for (const { id, reading } of page) yield reading === null ? remove("readings", { id }) : upsert("readings", reading);
      change = page.at(-1)?.change ?? change;
      // Rows and state are kept together: a sync that is killed goes on from here.
      yield checkpoint({ change });
      if (page.length < configuration.pageSize) break;
    }
    log.info(\`read up to change \${change}\`);
  },
});
`;
}

const service = `// Stands in for the service that you want to read: call your service here instead.

export interface Reading {
  readonly id: number;
  readonly at: string;
  readonly celsius: number;
  readonly station: string;
}

/** One change of one reading; \`null\`: it was deleted. Later changes have greater numbers. */
export interface Change {
  readonly change: number;
  readonly id: number;
  readonly reading: Reading | null;
}

const changes: Change[] = [];

export function write(id: number, celsius: number): void {
  const at = new Date(Date.UTC(2026, 0, 1) + changes.length * 60_000).toISOString();
  changes.push({ change: changes.length + 1, id, reading: { id, at, celsius, station: id % 2 === 0 ? "north" : "south" } });
}

export function erase(id: number): void {
  changes.push({ change: changes.length + 1, id, reading: null });
}

/** The changes after one, oldest first. */
export async function changesAfter(change: number, limit: number, signal: AbortSignal): Promise<readonly Change[]> {
  signal.throwIfAborted();
  return changes.slice(change, change + limit);
}

for (let id = 1; id <= 250; id++) write(id, 20 + (id % 30) / 2);
`;

const test = `import { updateChecks } from "headwaters/testing";
import { test } from "vitest";
import { erase, write } from "../service.ts";
import source from "../source.ts";

let round = 0;

const checks = updateChecks({
  source,
  configuration: { pageSize: 20 },
  /** Changes what the source reads: a new row, a changed one, a deleted one. */
  async change() {
    round += 1;
    write(1_000 + round, 25);
    write(round, -round);
    erase(100 + round);
  },
});

for (const { name, run } of checks) test(name, run);
`;

function readme(name: string): string {
  return `# ${name}

A source for [Headwaters](https://www.npmjs.com/package/headwaters).

\`\`\`sh
npm install
npm test         # the suite that every source must pass
npm run types    # does every row have the types of its table?
npm start        # into warehouse.duckdb; once more: only what changed
\`\`\`

\`source.ts\` is the source: its settings, its tables, and \`update()\`, which yields what changed since the last
checkpoint. \`service.ts\` stands in for what it reads: call your service there instead.

Node.js modules such as \`node:fs\` have types in a package: \`npm install -D @types/node\`, and \`"types": ["node"]\` in
\`tsconfig.json\`.

Settings go into \`configuration.json\`: \`npx headwaters run source.ts --configuration configuration.json\`.
\`npx headwaters check --source ./source.ts\`, \`status\` and \`reset\` work as with any other source.
`;
}
