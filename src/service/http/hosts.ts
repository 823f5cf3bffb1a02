import { isIP } from "node:net";
import { hostname } from "node:os";

/** Whether an address can be reached only from this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/**
 * The names that requests may be sent to. A page elsewhere can have its own name lead to this machine (DNS rebinding), so
 * other names are refused. An address can't be taken over like that.
 */
export function hostCheck(listens: string, names: readonly string[]): (host: string | undefined) => boolean {
  const known = new Set(["localhost", listens, hostname(), ...names].map((name) => name.toLowerCase()));
  return (host) => {
    const name = nameOf(host);
    return name !== null && (isIP(name) !== 0 || known.has(name));
  };
}

/** Whether a request comes from a page of this host, or from no page at all. */
export function isOwnOrigin(origin: string | undefined, site: string | undefined, host: string | undefined): boolean {
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  if (origin === undefined) return true;
  if (!URL.canParse(origin)) return false;
  return new URL(origin).host.toLowerCase() === withoutDefaultPort(host, origin);
}

function withoutDefaultPort(host: string | undefined, origin: string): string | null {
  const { protocol } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) ? new URL(`${protocol}//${host}`).host.toLowerCase() : null;
}

/** The name in a Host header, without its port; `null`: it is none. */
function nameOf(host: string | undefined): string | null {
  if (host === undefined || !/^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/i.test(host)) return null;
  const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
  return name.startsWith("[") ? name.slice(1, -1) : name;
}
