import type { ConnectionOptions } from "node:tls";

/** Where a server is, and who logs in. */
export interface ReqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** `null`: not encrypted. */
  readonly tls: ConnectionOptions | null;
  /** To connect and to log in, in milliseconds. */
  readonly connectTimeout: number;
  /** How long the server may be silent while an answer is due, in milliseconds. */
  readonly silence: number;
}
