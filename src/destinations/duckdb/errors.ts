import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";

/** Something that DuckDB says, and what a user is told. */
export interface KnownError {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  /** Given what is written to, as users know it, and what `pattern` found. */
  readonly message: (place: string, match: RegExpExecArray) => string;
  readonly hint: string;
}

/**
 * What DuckDB says wherever it writes to. It has no error codes below its few classes, so its words must decide. No code
 * outside of the connectors reads messages: it goes by `HeadwatersError.code` and `side`.
 */
const everywhere: readonly KnownError[] = [
  {
    pattern: /No space left on device|not enough space|Disk quota exceeded|File too large/i,
    code: "DESTINATION_FULL",
    message: (place) => `the disk of ${place} is full`,
    hint: "Make room and sync again: what was committed is whole, and the sync goes on from there.",
  },
  {
    pattern: /Out of Memory Error|failed to (allocate|pin|offload)/i,
    code: "DESTINATION_UNUSABLE",
    message: () => "memory_limit: DuckDB needs more memory than it may use",
    hint: "Raise memory_limit, or give temp_directory more room.",
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
    message: () => "somebody else changed the same rows; nothing of this commit was kept",
    hint: "Sync again: it goes on from the last commit.",
  },
];

/** By code: the line of DuckDB's message that is added to ours, if it has details that we lack. */
const telling: Readonly<Partial<Record<ErrorCode, RegExp>>> = { VALUE_OUT_OF_RANGE: /./, WRITE_CONFLICT: /conflict/i };

/** Whatever DuckDB threw, as what the user sees; `own` are the errors of this kind of place, which are looked at first. */
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
