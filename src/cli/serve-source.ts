import { fivetranLog } from "../fivetran/log.ts";
import { startServer } from "../fivetran/server.ts";
import { explain } from "../fivetran/status.ts";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import type { Output } from "./output.ts";
import { servedSource } from "./served-source.ts";

/** The port on which Fivetran's own tester expects a connector. */
export const defaultPort = "50051";

/** The flags for serving a source. */
export interface ServeOptions {
  readonly host: string;
  readonly port: string;
  /** Whether to log more. */
  readonly debug: boolean;
}

/** Serves a source to Fivetran until `signal` is aborted. Throws `CONFIGURATION_INVALID` if it can't listen. */
export async function serveSource(
  definition: SourceDefinition,
  { host, port, debug }: ServeOptions,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const served = servedSource(definition, output.redactor);
  const log = fivetranLog((line) => output.line(line, "as it is"), served.redact, debug);
  await using server = await startServer(served, { host, port: portOf(port) }, log).catch((thrown: unknown) => {
    // Readers of a connector's log do not see its standard error.
    log.severe(explain(asHeadwatersError(thrown)));
    throw thrown;
  });
  log.info(`Serving ${definition.title} at ${host}, port ${server.port}.`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new HeadwatersError("CONFIGURATION_INVALID", `--port must be a number from 0 to 65535, not ${text}`);
}
