import { Command, Option } from "commander";
import { sources } from "../sources/index.ts";
import { loadSource } from "./load-source.ts";
import { examples } from "./options.ts";
import { defaultPort, serveSource } from "./serve-source.ts";
import { type OutputOptions, runCommand } from "./session.ts";
import type { Environment } from "./environment.ts";

interface ServeFlags extends OutputOptions {
  readonly port: string;
  readonly host: string;
}

export function serveCommand(environment: Environment): Command {
  return new Command("serve")
    .argument("<source>", `what to serve: ${Object.keys(sources).join(", ")}, or the file of one`)
    .description(
      "Serves a source to Fivetran over gRPC until you stop it. Settings, selection and state come with each call, so nothing is stored here. Log lines go to standard output, in the form that Fivetran reads.",
    )
    .optionsGroup("Where:")
    .option("--port <number>", "port to listen on; 0: any free port", defaultPort)
    .option("--host <address>", "address to listen on; ::: all addresses of this machine", "127.0.0.1")
    .optionsGroup("Output:")
    .addOption(new Option("--log-level <level>", "what to log").choices(["debug", "info"]).default("info"))
    .addHelpText(
      "after",
      examples(
        ["serve yugabytedb", `for a client on this machine, on port ${defaultPort}`],
        ["serve ./my-source.ts", "a source of your own"],
        ["serve rethinkdb --host :: --port 50052", "for clients elsewhere: the protocol is not encrypted"],
      ),
    )
    .action((source: string, { port, host, logLevel }: ServeFlags) =>
      // Quiet, because the server has its own log, and `runCommand`'s message about stopping is for syncs.
      runCommand(environment, { quiet: true }, async ({ output, signal }) => {
        await serveSource(
          await loadSource(source, environment.folder),
          { host, port, debug: logLevel === "debug" },
          output,
          signal,
        );
        return "ok";
      }),
    );
}
