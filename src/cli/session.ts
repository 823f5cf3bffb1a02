import { destinations } from "../destinations/index.ts";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import { sources } from "../sources/index.ts";
import {
  type ConfiguredConnection,
  type CopySide,
  type RawConnection,
  resolveConnection,
  resolveCopySide,
} from "./configuration/resolve.ts";
import { withEnvFile } from "./configuration/env-file.ts";
import { readConnections, type Request } from "./configuration/load.ts";
import { errorJson } from "./display/events-json.ts";
import { showError } from "./errors.ts";
import { exitCode, type Outcome, worst } from "./exit-codes.ts";
import { createLog, type LogLevel } from "./log.ts";
import { Output } from "./output.ts";
import type { RunContext } from "./recorded.ts";
import { Redactor } from "./redact.ts";
import type { Environment } from "./environment.ts";

/** The flags that every command has. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly logLevel?: LogLevel;
}

/** The context of a running command. */
export interface Session {
  readonly environment: Environment;
  readonly output: Output;
  readonly log: Log;
  withoutSecrets(text: string): string;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly quiet: boolean;
  /** Before lines that don't name the connection: its name, if the command works on several; else empty. */
  readonly working: { prefix: string };
  /** Writes a line of JSON for programs. */
  tell(connection: string | null, value: Readonly<Record<string, unknown>>): void;
}

/** What a run needs from its command's session. */
export function runContext({ log, output, environment, signal }: Session): RunContext {
  return { log, redactor: output.redactor, variables: environment.variables, signal };
}

/**
 * A stopped command ends in good order within this time, in milliseconds; after it, it ends at once. A server that
 * hangs, or a long merge or commit, would block it; everything durable is whole at any moment.
 */
const mostStopping = 4_000;

/** Runs a command: handles signals, shows errors, sets the exit code. */
export async function runCommand(
  environment: Environment,
  options: OutputOptions,
  body: (session: Session) => Promise<Outcome>,
  stopsWithin = mostStopping,
): Promise<void> {
  const { json = false, quiet = false } = options;
  const redactor = new Redactor([...Object.keys(sources), ...Object.keys(destinations)]);
  const output = new Output(environment.stdout, environment.stderr, environment.variables, redactor);
  const working = { prefix: "" };
  const log = createLog(output, {
    level: options.logLevel ?? (quiet ? "error" : "info"),
    json,
    prefix: () => working.prefix,
  });
  const stop = new AbortController();
  let late: NodeJS.Timeout | undefined;
  const quit = (): void => {
    output.release();
    environment.exit(exitCode("stopped"));
  };
  const unlisten = environment.onStop(() => {
    if (stop.signal.aborted) return quit();
    late = setTimeout(quit, stopsWithin);
    const stopping = "Stopping: complete work is kept. Press Ctrl-C again to quit at once.";
    if (json) log.info(stopping);
    else if (!quiet) output.error(stopping);
    stop.abort();
  });
  const tell: Session["tell"] = (connection, value) =>
    output.json({ time: new Date().toISOString(), ...(connection === null ? {} : { connection }), ...value });
  const session: Session = {
    environment,
    output,
    log,
    withoutSecrets: (text) => redactor.text(text),
    signal: stop.signal,
    json,
    quiet,
    working,
    tell,
  };
  try {
    environment.exitCode = exitCode(await attempt(session, null, () => body(session)));
  } finally {
    clearTimeout(late);
    unlisten();
  }
}

/** Runs `work` for a connection, or for none. If it throws, shows the error and resolves to the error's outcome. */
export async function attempt(
  session: Session,
  connection: string | null,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  const { output, json, signal } = session;
  try {
    return await work();
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    // If the user stopped the command, running work is expected to fail.
    if (signal.aborted) {
      session.log.debug(`stopped while: ${error.message}`);
      return "stopped";
    }
    if (json) session.tell(connection, { kind: "error", error: errorJson(error), exitCode: exitCode(error.remedy) });
    else showError(output, error, connection);
    session.log.debug(stacks(thrown));
    return error.remedy;
  }
}

/** How a command goes over the connections of a request. */
interface Walk<Resolved> {
  resolve(raw: RawConnection, environment: NodeJS.ProcessEnv, redactor: Redactor): Promise<Resolved>;
  /** `whole`: with the source, whose settings and secrets are then read. */
  work(connection: Resolved, whole: () => Promise<ConfiguredConnection>): Promise<Outcome>;
  /** All at the same time. Absent: one after the other. */
  readonly together?: true;
  /** The maximum number of connections; with more, it throws before any work. */
  readonly most?: number;
  /** Called for a connection whose settings are wrong. */
  onInvalid?(raw: RawConnection, thrown: unknown): void;
}

/**
 * Runs `work` for each connection, one after the other unless `together` is set. A connection that fails, or whose settings are wrong, does not
 * stop the others.
 */
export function forEachConnection(
  session: Session,
  request: Request,
  work: (connection: ConfiguredConnection) => Promise<Outcome>,
  more: Pick<Walk<ConfiguredConnection>, "most" | "onInvalid" | "together"> = {},
): Promise<Outcome> {
  return walk(session, request, { resolve: resolveConnection, work, ...more });
}

/** As {@link forEachConnection}, for commands that do not need the source: its secrets are not read. */
export function forEachCopySide(
  session: Session,
  request: Request,
  work: Walk<CopySide>["work"],
  more: Pick<Walk<CopySide>, "most"> = {},
): Promise<Outcome> {
  return walk(session, request, { resolve: resolveCopySide, work, ...more });
}

async function walk<Resolved extends CopySide>(
  session: Session,
  request: Request,
  { resolve, work, most = Infinity, onInvalid, together }: Walk<Resolved>,
): Promise<Outcome> {
  const { environment, output } = session;
  const raws = await readConnections(request, { folder: environment.folder });
  if (raws.length > most) {
    const names = raws.map(({ name }) => name).join(", ");
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `this command works on ${most} connection, but there are ${names}.`,
      {
        hint: "Name one of them.",
      },
    );
  }
  const outcomes: Outcome[] = [];
  const connections: { readonly connection: Resolved; readonly raw: RawConnection }[] = [];
  const home = raws[0]?.folders.destination ?? environment.folder;
  const variables = await withEnvFile(home, environment.variables);
  for (const raw of raws) {
    const resolved = await attempt(session, null, async () => {
      try {
        connections.push({ connection: await resolve(raw, variables, output.redactor), raw });
      } catch (thrown) {
        onInvalid?.(raw, thrown);
        throw thrown;
      }
      return "ok";
    });
    if (resolved !== "ok") outcomes.push(resolved);
  }
  const one = ({ connection, raw }: (typeof connections)[number]): Promise<Outcome> =>
    attempt(session, connection.name, () => work(connection, () => resolveConnection(raw, variables, output.redactor)));
  if (together === true) return worst([...outcomes, ...(await Promise.all(connections.map(one)))]);
  for (const each of connections) {
    if (connections.length > 1) session.working.prefix = `${each.connection.name}: `;
    if (session.signal.aborted) outcomes.push("stopped");
    else outcomes.push(await one(each));
  }
  session.working.prefix = "";
  return worst(outcomes);
}

/** The stack traces of an error and its causes, for finding a defect. */
function stacks(thrown: unknown): string {
  const parts: string[] = [];
  for (
    let error = thrown;
    error !== undefined && parts.length < 8;
    error = error instanceof Error ? error.cause : undefined
  ) {
    parts.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return parts.join("\ncaused by ");
}
