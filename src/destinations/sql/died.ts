import { hostname } from "node:os";
import type { Holder } from "../../protocol/state-store.ts";

/** Whether the holder was another process of this machine, which no longer exists. */
export function hasDied({ host, pid }: Pick<Holder, "host" | "pid">): boolean {
  if (host !== hostname() || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH";
  }
}
