import { pino, stdTimeFunctions } from "pino";
import type { Log } from "../protocol/log.ts";
import type { Style } from "./display/text.ts";
import type { Output } from "./output.ts";

/** The log levels, the most detailed first. `error`: no log lines; errors are always shown. */
export const logLevels = ["debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof logLevels)[number];

const styles: Readonly<Record<string, Style>> = { debug: "dim", info: "cyan", warn: "yellow", error: "red" };

/** Logs to standard error, as JSON lines or as plain lines for people. Secrets are removed from every message. */
export function createLog(
  output: Output,
  options: {
    readonly level: LogLevel;
    readonly json: boolean;
    /** The prefix of each message: the connection, if a command works on several. */
    prefix(): string;
  },
): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    {
      write: (line) =>
        options.json ? output.error(line.trimEnd(), "as it is") : output.error(forPeople(line, output)),
    },
  );
  const clean = (message: string): string => output.redactor.text(`${options.prefix()}${message}`);
  return {
    debug: (message) => logger.debug(clean(message)),
    info: (message) => logger.info(clean(message)),
    warn: (message) => logger.warn(clean(message)),
  };
}

function forPeople(line: string, output: Output): string {
  const { time, level, message } = JSON.parse(line) as { time: string; level: string; message: string };
  const moment = output.errorIsTerminal ? new Date(time).toTimeString().slice(0, 8) : time;
  return `${output.paintError("dim", moment)} ${output.paintError(styles[level] ?? "cyan", level)} ${message}`;
}
