import process from "node:process";
import { isMainThread } from "node:worker_threads";
import { Command, CommanderError } from "commander";
import { destinations } from "../destinations/index.ts";
import { sources } from "../sources/index.ts";
import { exitCode } from "./exit-codes.ts";
import { listOf } from "./display/wrap.ts";
import { packageManifest } from "./package-manifest.ts";
import type { Environment } from "./environment.ts";

interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Only other commands start it. */
  readonly hidden?: true;
  load(): Promise<(environment: Environment) => Command>;
}

/** All commands. A command is loaded only when it is named, so that `headwaters --help` is fast. */
const commands: readonly CommandEntry[] = [
  {
    name: "init",
    summary: "create headwaters.yaml, or a source of your own",
    load: async () => (await import("./init/command.ts")).initCommand,
  },
  {
    name: "check",
    summary: "test source and destination step by step",
    load: async () => (await import("./check.ts")).checkCommand,
  },
  {
    name: "discover",
    summary: "show the tables and how each is read",
    load: async () => (await import("./discover.ts")).discoverCommand,
  },
  {
    name: "sync",
    summary: "bring copies up to date",
    load: async () => (await import("./sync.ts")).syncCommand,
  },
  {
    name: "follow",
    summary: "keep copies up to date, from the source's stream of changes",
    load: async () => (await import("./follow.ts")).followCommand,
  },
  {
    name: "verify",
    summary: "prove that the copies are right",
    load: async () => (await import("./verify.ts")).verifyCommand,
  },
  {
    name: "status",
    summary: "show the state of the copies",
    load: async () => (await import("./status.ts")).statusCommand,
  },
  {
    name: "history",
    summary: "show the last runs",
    load: async () => (await import("./history.ts")).historyCommand,
  },
  {
    name: "logs",
    summary: "show the log of a run",
    load: async () => (await import("./logs.ts")).logsCommand,
  },
  {
    name: "query",
    summary: "query the copies with SQL",
    load: async () => (await import("./query.ts")).queryCommand,
  },
  {
    name: "reset",
    summary: "let the next sync read tables whole",
    load: async () => (await import("./reset.ts")).resetCommand,
  },
  {
    name: "unfollow",
    summary: "remove the slot and publication of a followed source",
    load: async () => (await import("./unfollow.ts")).unfollowCommand,
  },
  {
    name: "state",
    summary: "show, export or import the state of tables",
    load: async () => (await import("./state.ts")).stateCommand,
  },
  {
    name: "export",
    summary: "write the copies as Parquet files",
    load: async () => (await import("./export.ts")).exportCommand,
  },
  {
    name: "run",
    summary: "sync a source of your own in TypeScript",
    load: async () => (await import("./run.ts")).runSourceCommand,
  },
  {
    name: "up",
    summary: "run connections by their schedules, with a page, an API and metrics",
    load: async () => (await import("./up/command.ts")).upCommand,
  },
  {
    name: "worker",
    summary: "work on syncs of many machines, on Temporal",
    load: async () => (await import("./temporal/worker.ts")).workerCommand,
  },
  {
    name: "deploy",
    summary: "make Temporal run the schedules of the file",
    load: async () => (await import("./temporal/deploy.ts")).deployCommand,
  },
  {
    name: "alert",
    summary: "test whether alerts arrive",
    load: async () => (await import("./alert.ts")).alertCommand,
  },
  {
    name: "up-worker",
    summary: "work for headwaters up",
    hidden: true,
    load: async () => (await import("./up/worker.ts")).workerCommand,
  },
  {
    name: "serve",
    summary: "serve a source to Fivetran",
    load: async () => (await import("./serve.ts")).serveCommand,
  },
  {
    name: "completion",
    summary: "write a script that completes commands in a shell",
    load: async () => {
      const { completionCommand } = await import("./completion.ts");
      return (environment) => completionCommand(environment, () => all(environment));
    },
  },
  {
    name: "demo",
    summary: "watch a real database flow into DuckDB",
    load: async () => (await import("./demo/command.ts")).demoCommand,
  },
];

/** All commands, whole. */
async function all(environment: Environment): Promise<readonly Command[]> {
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const loaded = shown.map(async ({ summary, load }) => (await load())(environment).summary(summary));
  return Promise.all(loaded);
}

const introduction = "Keeps an exact copy of a database in a warehouse, and proves that it is exact.";

const kinds = `
${listOf("Sources", titles(sources))}
${listOf("Destinations", titles(destinations))}`;

const firstSteps = `
First steps:
  $ headwaters init          # creates headwaters.yaml, tests the connections
  $ headwaters check         # tests connections, logins and privileges
  $ headwaters sync          # copies all rows at first, later only changes
  $ headwaters verify        # compares source and copy

"headwaters <command> --help" shows the options of a command, with examples.`;

/** Runs a command line and sets `environment.exitCode`. */
export async function run(argv: readonly string[], environment: Environment): Promise<void> {
  // The files of commands hold rows: databases, their logs, temporary files, exports. Only the owner may read them.
  if (isMainThread) process.umask(0o077);
  const program = new Command("headwaters")
    .description(introduction)
    .optionsGroup("Help:")
    .version(packageManifest().version, "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    // Flags after a command's name belong to that command, even if its parent has a flag of the same name.
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => environment.stdout.write(text),
      writeErr: (text) => environment.stderr.write(text),
      getOutHelpWidth: () => environment.stdout.columns ?? 80,
      getErrHelpWidth: () => environment.stderr.columns ?? 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", kinds)
    .addHelpText("after", firstSteps)
    .exitOverride();
  for (const { name, summary, load, hidden = false } of commands) {
    const command = argv.includes(name) ? (await load())(environment) : new Command(name);
    program.addCommand(command.summary(summary).copyInheritedSettings(program), { hidden });
    for (const part of command.commands) part.copyInheritedSettings(command);
  }
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    environment.exitCode = error.exitCode === 0 ? exitCode("ok") : exitCode("reconfigure");
  }
}

function titles(registry: Readonly<Record<string, { readonly title: string }>>): readonly string[] {
  return Object.values(registry).map(({ title }) => title);
}
