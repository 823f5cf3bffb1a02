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
      "Serves a source to Fivetran, by gRPC, until it is stopped. Settings, selection and state come with each call: nothing is kept here. Log lines go to standard output, in the form that Fivetran reads.",
    )
    .optionsGroup("Where:")
    .option("--port <number>", "port to listen at; 0 takes any that is free", defaultPort)
    .option("--host <address>", "address to listen at; :: is every one of this machine", "127.0.0.1")
    .optionsGroup("Output:")
    .addOption(new Option("--log-level <level>", "how much to log").choices(["debug", "info"]).default("info"))
    .addHelpText(
      "after",
      examples(
        ["serve yugabytedb", `for a client on this machine, at port ${defaultPort}`],
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
