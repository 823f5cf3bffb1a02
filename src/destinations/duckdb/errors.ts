import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";

/** A known message of DuckDB, and the error that it is reported as. */
export interface KnownError {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  /** `place`: the destination's name in messages. `match`: the match of `pattern`. */
  readonly message: (place: string, match: RegExpExecArray) => string;
  readonly hint: string;
}

/**
 * DuckDB's messages that do not depend on the kind of storage. DuckDB has a few classes of errors and no codes, so its
 * messages are matched. Code outside of the connectors does not read messages; it uses `HeadwatersError.code` and
 * `side`.
 */
const everywhere: readonly KnownError[] = [
  {
    pattern: /No space left on device|not enough space|Disk quota exceeded|File too large/i,
    code: "DESTINATION_FULL",
    message: (place) => `the disk of ${place} is full`,
    hint: "Free some space and sync again: the sync goes on from the last commit.",
  },
  {
    // From here on every statement fails, until the file is opened again.
    pattern: /autocheckpoint failed.*(failed to (allocate|pin|offload)|could not allocate block)/is,
    code: "DESTINATION_UNUSABLE",
    message: () => "memory_limit: DuckDB needs more memory than it may use to write its log into the file",
    hint: "Raise memory_limit, for example to twice as much, and sync again: the sync goes on from the last commit.",
  },
  {
    pattern: /Out of Memory Error|failed to (allocate|pin|offload)|could not allocate block/i,
    code: "DESTINATION_UNUSABLE",
    message: () => "memory_limit: DuckDB needs more memory than it may use",
    hint: "Raise memory_limit (a table takes up to 512 KiB for each column while rows are added), or give temp_directory more room.",
  },
  {
    pattern: /Conversion Error|Out of Range Error/,
    code: "VALUE_OUT_OF_RANGE",
    message: () => "a value does not fit the type of its column",
    hint: "Set the column's type to a wider one, or to STRING.",
  },
  {
    pattern: /TransactionContext Error: .*conflict|write-write conflict/is,
    code: "WRITE_CONFLICT",
    message: () => "another program changed the same rows; this commit was rolled back",
    hint: "Sync again: it goes on from the last commit.",
  },
];

/** For errors to which DuckDB's message adds details: finds the line of the message to quote. */
const telling: Readonly<Partial<Record<ErrorCode, RegExp>>> = { VALUE_OUT_OF_RANGE: /./, WRITE_CONFLICT: /conflict/i };

/** Converts an error of DuckDB into one for the user. `own`: the known errors of this kind of storage, tried first. */
export function duckdbError(thrown: unknown, place: string, own: readonly KnownError[]): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const native = thrown instanceof Error ? thrown.message : String(thrown);
  for (const { pattern, code, message, hint } of [...own, ...everywhere]) {
    const match = pattern.exec(native);
    if (match === null) continue;
    const said = telling[code];
    const detail = said === undefined ? null : native.split("\n").find((line) => said.test(line));
    return new HeadwatersError(code, message(place, match) + (detail == null ? "" : ` (${detail.trim()})`), {
      hint,
      cause: thrown,
    });
  }
  return new HeadwatersError("DESTINATION_FAILED", `DuckDB, ${place}: ${firstLine(native)}`, { cause: thrown });
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.trim();
}
