import type { Log } from "../protocol/log.ts";

/** Warns, but of the same only once. */
export function warnOnce(log: Pick<Log, "warn">): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (told.has(message)) return;
    told.add(message);
    log.warn(message);
  };
}
