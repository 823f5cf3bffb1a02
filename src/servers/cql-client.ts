import { lookup } from "node:dns/promises";
import type { Client, DseClientOptions } from "cassandra-driver";

/** The address of a node, with the login. */
export interface CqlAddress {
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
}

/** Parses `cql://user:password@host:9042`; `null`: it is not such an address. */
export function parseCqlAddress(address: string): CqlAddress | null {
  if (!URL.canParse(address) || new URL(address).protocol !== "cql:") return null;
  const { hostname, port, username, password } = new URL(address);
  return {
    // URLs write IPv6 addresses in brackets.
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port === "" ? 9042 : port),
    username: username === "" ? null : decodeURIComponent(username),
    password: username === "" ? null : decodeURIComponent(password),
  };
}

/** A client of the vendor's driver, not yet connected. It uses this node alone, in whichever data centre it is. */
export async function cqlClient(
  { host, port, username, password }: CqlAddress,
  more: DseClientOptions = {},
): Promise<Client> {
  const { default: driver } = await import("cassandra-driver");
  const { AllowListPolicy, RoundRobinPolicy } = driver.policies.loadBalancing;
  // The policy knows nodes by address, not by name. If the name can't be resolved, the driver reports it.
  const found = await lookup(host, { all: true }).catch(() => []);
  const addresses = found.length === 0 ? [host] : found.map(({ address }) => address);
  return new driver.Client({
    contactPoints: addresses,
    protocolOptions: { port },
    policies: {
      loadBalancing: new AllowListPolicy(
        new RoundRobinPolicy(),
        addresses.map((address) => `${address}:${port}`),
      ),
    },
    ...(username === null ? {} : { credentials: { username, password: password ?? "" } }),
    socketOptions: { readTimeout: 60_000 },
    ...more,
  });
}
