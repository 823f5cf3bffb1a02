/** Where in a query something happened: argument numbers and names of options, from the root. */
export type Path = readonly (number | string)[];

/** The codes of errors while a query runs. */
export const codes = {
  internal: 1_000_000,
  limit: 2_000_000,
  logic: 3_000_000,
  nonexistence: 3_100_000,
  failed: 4_100_000,
  killed: 4_200_000,
  user: 5_000_000,
  permission: 6_000_000,
} as const;

/** An error as a client of RethinkDB gets it. */
export class Failure extends Error {
  /** 16, 17 or 18. */
  readonly type: number;
  /** `null`: an error of type 16 or 17 has none. */
  readonly code: number | null;
  readonly path: Path;

  constructor(type: number, code: number | null, message: string, path: Path) {
    super(message);
    this.type = type;
    this.code = code;
    this.path = path;
  }
}

export function fail(kind: keyof typeof codes, message: string, path: Path): Failure {
  return new Failure(18, codes[kind], message, path);
}

export function malformed(message: string): Failure {
  return new Failure(17, null, message, []);
}
