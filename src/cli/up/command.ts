import { fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Loaded } from "../../service/host.ts";
import { serviceMetrics } from "../../service/metrics.ts";
import { Service } from "../../service/service.ts";
import { httpApp } from "../../service/http/app.ts";
import { isLoopback } from "../../service/http/hosts.ts";
import { readPage } from "../../service/http/page.ts";
import { listen } from "../../service/http/server.ts";
import { Doorkeeper } from "../../service/http/token.ts";
import type { ServiceSettings } from "../../service/settings.ts";
import { parseBytes } from "../../toolkit/quantities.ts";
import { type AttemptPlace, attemptPlace, attemptsVersion, isUnderWay, loadAttempts, loadRunLog } from "../attempts.ts";
import { defaultFile } from "../configuration/load.ts";
import type { Environment } from "../environment.ts";
import type { Outcome } from "../exit-codes.ts";
import { examples, exitCodesHelp, withOutputOptions } from "../options.ts";
import { packageManifest } from "../package-manifest.ts";
import { type OutputOptions, runCommand, type Session } from "../session.ts";
import { claim } from "./claim.ts";
import { homeOf, loadService, textOf } from "./load-service.ts";
import { memoryIn, serviceFolder, tokenIn } from "./state-files.ts";

/** Workers have some seconds to end in good order, and are killed after that; all of it within 10 s. In milliseconds. */
const mostStopping = 9_500;

interface UpFlags extends OutputOptions {
  readonly file?: string;
  readonly host: string;
  readonly port: string;
  readonly concurrency?: string;
  readonly memory?: string;
  readonly on?: string;
}

export function upCommand(environment: Environment): Command {
  const command = new Command("up")
    .description(
      "Runs the connections of the file by their schedules until you stop it. Serves a page, an API and metrics. Each destination has its own process. You can stop or kill it at any time: nothing is lost.",
    )
    .optionsGroup("Which connections:")
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`)
    .optionsGroup("Where the page is:")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--port <number>", "port to listen on; 0: any free port", "7717")
    .optionsGroup("How to work:")
    .option("--concurrency <number>", "how many runs at the same time (default: service.concurrency)")
    .option(
      "--memory <size>",
      "memory for rows that wait for the destinations, such as 512MB (default: service.memory)",
    );
  command.addOption(
    new Option(
      "--on <engine>",
      "hand schedules over, as headwaters deploy does, and let workers sync and verify (headwaters worker)",
    ).choices(["temporal"]),
  );
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(
        ["up", "the connections of headwaters.yaml"],
        ["up --port 8080 --concurrency 4", "on another port, with four runs at the same time"],
        ["up --on temporal", "page, metrics and alerts for what workers do"],
      ),
    )
    .addHelpText("after", exitCodesHelp())
    .action((flags: UpFlags) => runCommand(environment, flags, (session) => up(session, flags), mostStopping));
}

async function up(session: Session, flags: UpFlags): Promise<Outcome> {
  const { environment, output, log, signal, json, tell } = session;
  const given = {
    file: flags.file,
    folder: environment.folder,
    variables: environment.variables,
    redactor: output.redactor,
    flags: settingsOf(flags),
  };
  const { host } = flags;
  const port = portOf(flags.port);
  const home = homeOf(given);
  const folder = serviceFolder(home, environment.variables);
  const placeOf = (connection: string): AttemptPlace => attemptPlace(home, connection, environment.variables);
  const isOnTemporal = flags.on === "temporal";
  const workerArguments = ["up-worker", ...(isOnTemporal ? ["--on", "temporal"] : [])];
  await using _ = claim(folder, log);
  await using service = await Service.open({
    version: packageManifest().version,
    text: () => textOf(given),
    load: async () => {
      const loaded = await loadService(given);
      return isOnTemporal ? handedOver(session, flags.file, loaded) : loaded;
    },
    runs: ({ name, copies }) => loadAttempts(placeOf(name), copies, log),
    runsVersion: ({ name }) => attemptsVersion(placeOf(name)),
    isUnderWay: ({ name }) => isUnderWay(placeOf(name), log),
    runLog: (connection, run) => loadRunLog(placeOf(connection), run),
    start: () => fork(process.argv[1]!, workerArguments, { stdio: ["ignore", "ignore", "inherit", "ipc"] }),
    log,
    now: () => Date.now(),
    memory: memoryIn(folder),
  });
  const { settings } = service;
  checkPlace(host, settings);
  const made = settings.token === null ? tokenIn(folder) : null;
  const token = settings.token ?? made!.token;
  output.redactor.add(token);
  const app = httpApp({
    service,
    doorkeeper: new Doorkeeper(token, () => Date.now()),
    page: readPage(fileURLToPath(new URL("../page", import.meta.url))),
    host,
    proxy: settings.tls === "proxy",
    tls: settings.tls !== null,
    metrics: serviceMetrics(service),
  });
  await using listening = await listen(app.fetch, { host, port, tls: settings.tls });
  service.start();
  const shown = host.includes(":") ? `[${host}]` : host;
  const scheme = settings.tls === null || settings.tls === "proxy" ? "http" : "https";
  const address = `${scheme}://${shown}:${listening.port}/`;
  const tokenFile = made?.file ?? null;
  if (json) tell(null, { kind: "listening", address, tokenFile });
  // The part after # reaches no server and no server's log. It is not written to our log at each start either.
  else if (made !== null && (made.isNew || output.live)) environment.stdout.write(`${address}#token=${token}\n`);
  else output.line(tokenFile === null ? address : `${address}#token=… (the token is in ${tokenFile})`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return "ok";
}

/** Has Temporal start the runs of the file. Whoever is followed is followed by this service. */
async function handedOver(session: Session, file: string | undefined, loaded: Loaded): Promise<Loaded> {
  const { handOver } = await import("../temporal/deploy.ts");
  await handOver(session, file);
  const connections = loaded.connections.map((one) => ({ ...one, isHandedOver: one.schedule !== "follow" }));
  return { ...loaded, connections };
}

function settingsOf({ concurrency, memory }: UpFlags): Partial<Pick<ServiceSettings, "concurrency" | "memoryBytes">> {
  if (concurrency !== undefined && !/^[1-9]\d{0,2}$/.test(concurrency))
    throw wrong(`--concurrency must be a whole number from 1, not ${JSON.stringify(concurrency)}.`);
  const memoryBytes = memory === undefined ? null : parseBytes(memory);
  if (memory !== undefined && (memoryBytes === null || memoryBytes <= 0))
    throw wrong(`--memory must be a size with its unit, such as 512MB, not ${JSON.stringify(memory)}.`);
  return {
    ...(concurrency === undefined ? {} : { concurrency: Number(concurrency) }),
    ...(memoryBytes === null ? {} : { memoryBytes }),
  };
}

function portOf(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw wrong(`--port must be a number from 0 to 65535, not ${JSON.stringify(text)}.`);
}

function wrong(message: string, hint?: string): HeadwatersError {
  return new HeadwatersError("CONFIGURATION_INVALID", message, hint === undefined ? {} : { hint });
}

/** Other machines may send requests only with a token that the user set, over TLS. */
function checkPlace(host: string, { token, tls }: ServiceSettings): void {
  if (isLoopback(host)) return;
  if (token === null)
    throw wrong(
      `--host ${host} can be reached from other machines, but no token is set.`,
      `Set service.token, such as "token: { file: /run/secrets/headwaters }", or "token: \${HEADWATERS_TOKEN}".`,
    );
  if (tls === null)
    throw wrong(
      `--host ${host} can be reached from other machines, but there is no TLS.`,
      `Set service.tls to the files of a certificate, or to "proxy" if a proxy before it has TLS.`,
    );
}
