import { Command } from "commander";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Environment } from "../environment.ts";
import { defaultFile } from "../configuration/load.ts";
import { examples, withOutputOptions } from "../options.ts";
import { type OutputOptions, runCommand, type Session } from "../session.ts";
import { findConnection, temporalOf } from "./load.ts";

interface WorkerFlags extends OutputOptions {
  readonly file?: string;
  readonly concurrency: string;
  readonly healthPort?: string;
  readonly healthHost: string;
  readonly drain: string;
}

export function workerCommand(environment: Environment): Command {
  const command = new Command("worker")
    .description(
      "Works on syncs that run on Temporal. Start any number of workers, on any machine that can reach source, destination and Temporal, with the same headwaters.yaml. SIGTERM ends a worker cleanly.",
    )
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`)
    .option("--concurrency <number>", "how many activities at the same time", "4")
    .option("--health-port <port>", "serve /healthz on this port")
    .option("--health-host <address>", "the address of /healthz", "127.0.0.1")
    .option("--drain <seconds>", "how long running work may take after SIGTERM", "60");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["worker", "beside headwaters.yaml, which names Temporal"],
        ["worker --concurrency 8 --health-port 8080 --health-host 0.0.0.0", "in a container"],
      ),
    )
    .action((flags: WorkerFlags) => {
      const seconds = whole("--drain", flags.drain, 0, 86_400);
      return runCommand(
        environment,
        flags,
        (session) => work(session, flags, seconds * 1_000),
        seconds * 1_000 + 5_000,
      );
    });
}

async function work(session: Session, flags: WorkerFlags, drainMilliseconds: number): Promise<"ok"> {
  const { log, signal } = session;
  const concurrency = whole("--concurrency", flags.concurrency, 1, 1_000);
  const port = flags.healthPort === undefined ? null : whole("--health-port", flags.healthPort, 1, 65_535);
  const health = port === null ? null : { host: flags.healthHost, port };
  const settings = await temporalOf(session, flags.file);
  const { runWorker } = await import("../../cluster/worker.ts");
  const host = {
    find: (connection: string) => findConnection(session, flags.file, connection),
    warn: (message: string) => log.warn(message),
    debug: (message: string) => log.debug(message),
  };
  await runWorker(settings, host, {
    ...{ concurrency, health, signal, drainMilliseconds },
    onReady: () =>
      log.info(`working for ${settings.address}, task queue ${settings.taskQueue}, ${concurrency} at a time`),
  });
  return "ok";
}

function whole(flag: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `${flag} must be a whole number from ${least} to ${most}, not ${text}.`,
  );
}
