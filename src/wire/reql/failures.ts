/** An error that the server answered to a query. */
export class ReqlQueryError extends Error {
  /** 16: the client's mistake, 17: the query makes no sense, 18: it failed while it ran. */
  readonly type: number;
  /** Of type 18: 1000000 internal, 2000000 a limit, 3000000 logic, 4100000 failed, 6000000 permission, …; else 0. */
  readonly code: number;

  constructor(type: number, code: number, message: string) {
    super(message);
    this.type = type;
    this.code = code;
  }
}

/** How a connection failed other than by an error of the network. */
export type ConnectionFailure =
  /** The port answers, but in no language that a driver port has. */
  | "not RethinkDB"
  /** A TLS server at a port that was to be plain. */
  | "speaks TLS"
  | "user unknown"
  | "password wrong"
  | "login refused"
  /** Silence while an answer was due. */
  | "silent"
  /** The end of the connection while an answer was due. */
  | "lost"
  /** It was closed on this side. */
  | "closed";

export class ReqlConnectionError extends Error {
  readonly failure: ConnectionFailure;

  constructor(failure: ConnectionFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}
