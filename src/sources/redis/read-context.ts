import type { Log } from "../../protocol/log.ts";
import type { Configuration } from "./config.ts";
import type { Connections } from "./pool.ts";

/** What every reading needs. */
export interface ReadContext {
  readonly pool: Connections;
  readonly log: Log;
  readonly configuration: Configuration;
  readonly signal: AbortSignal;
  /** Warns, unless the same warning was given before. */
  warnOnce(message: string): void;
}
