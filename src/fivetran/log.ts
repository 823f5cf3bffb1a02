import type { Log } from "../protocol/log.ts";

/** Writes a line to standard output. */
export type WriteLine = (line: string) => void;

/** A log as Fivetran reads it: one JSON object per line, on standard output. */
export function fivetranLog(write: WriteLine, redact: (text: string) => string, debug: boolean): Log & Severe {
  const line = (level: "INFO" | "WARNING" | "SEVERE", message: string): void =>
    write(JSON.stringify({ level, message: redact(message), "message-origin": "sdk_connector" }));
  return {
    debug: (message) => (debug ? line("INFO", message) : undefined),
    info: (message) => line("INFO", message),
    warn: (message) => line("WARNING", message),
    severe: (message) => line("SEVERE", message),
  };
}

export interface Severe {
  severe(message: string): void;
}
