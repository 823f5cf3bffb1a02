import type { ConnectionOptions } from "node:tls";

/** The address of a server, with the login. */
export interface ReqlAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** `null`: not encrypted. */
  readonly tls: ConnectionOptions | null;
  /** The time limit for connecting and logging in, in milliseconds. */
  readonly connectTimeout: number;
  /** How long the server may be silent while an answer is due, in milliseconds. */
  readonly silence: number;
}
