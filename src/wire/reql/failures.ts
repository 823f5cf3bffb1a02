/** An error with which the server answered a query. */
export class ReqlQueryError extends Error {
  /** 16: an error of the client, 17: the query is invalid, 18: it failed while it ran. */
  readonly type: number;
  /**
   * For type 18: 1000000 internal, 2000000 a limit, 3000000 logic, 4100000 failed, 6000000 permission, …; otherwise 0.
   */
  readonly code: number;

  constructor(type: number, code: number, message: string) {
    super(message);
    this.type = type;
    this.code = code;
  }
}

/** How a connection failed, apart from network errors. */
export type ConnectionFailure =
  /** The port answers, but not in the protocol of a driver port. */
  | "not RethinkDB"
  /** A TLS server listens on a port that should not be encrypted. */
  | "speaks TLS"
  | "user unknown"
  | "password wrong"
  | "login refused"
  /** The server sent nothing while an answer was due. */
  | "silent"
  /** The connection ended while an answer was due. */
  | "lost"
  /** Headwaters closed the connection. */
  | "closed";

export class ReqlConnectionError extends Error {
  readonly failure: ConnectionFailure;

  constructor(failure: ConnectionFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
