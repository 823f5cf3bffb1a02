/** What an alert is about. Each is sent once until it changes. */
export const alertKinds = [
  "failed",
  "recovered",
  "stale",
  "diverged",
  "delete limit",
  "schema change",
  "log retained",
  "stream lost",
] as const;

export type AlertKind = (typeof alertKinds)[number];

/** A place that alerts are sent to. */
export interface Webhook {
  readonly url: string;
  /** The key of the signature; `null`: it is not signed. */
  readonly secret: string | null;
  readonly events: readonly AlertKind[];
  /** How many runs must fail one after the other. */
  readonly after: number;
  /** A body of another shape, with `{{message}}` and other fields in it; `null`: ours. */
  readonly template: string | null;
}

/** The settings of the service as a whole. */
export interface ServiceSettings {
  /** How many runs there are at the same time. */
  readonly concurrency: number;
  /** What all runs together may read ahead, in bytes; `null`: each connection's own limit. */
  readonly memoryBytes: number | null;
  /** How long runs are kept, in milliseconds. */
  readonly keepRuns: number;
  /** A connection is paused after this many runs that failed for a reason that a person must fix, and copied no table. */
  readonly pauseAfter: number;
  /** The token that the user set; `null`: one is made. */
  readonly token: string | null;
  /** Names of this host besides the address that it listens at. */
  readonly hosts: readonly string[];
  /** The files of a certificate; `proxy`: a proxy in front has TLS; `null`: there is none. */
  readonly tls: { readonly certificate: string; readonly key: string } | "proxy" | null;
  readonly alerts: Readonly<Record<string, Webhook>>;
}
