import type { Log } from "../protocol/log.ts";

/** Logs each distinct warning only once. */
export function warnOnce(log: Pick<Log, "warn">): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (told.has(message)) return;
    told.add(message);
    log.warn(message);
  };
}
