import { type ErrorCode, HeadwatersError } from "../../protocol/errors.ts";

interface Known {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly message: (path: string, match: RegExpExecArray) => string;
  readonly hint: string;
}

/** What DuckDB says → what a user is told. DuckDB has no error codes below its few classes: its words decide. */
const known: readonly Known[] = [
  {
    pattern: /Could not set lock on file .*?\(PID (\d+)\)/s,
    code: "SYNC_RUNNING",
    message: (path, match) => `path: ${path} is in use by process ${match[1]}`,
    hint: "Wait until it has ended, or stop it: a DuckDB file has one user at a time.",
  },
  {
    pattern: /Could not set lock on file|being used by another process/,
    code: "SYNC_RUNNING",
    message: (path) => `path: ${path} is in use by another process`,
    hint: "Wait until it has ended, or stop it: a DuckDB file has one user at a time.",
  },
  {
    pattern: /No space left on device|not enough space|Disk quota exceeded|File too large/i,
    code: "DESTINATION_FULL",
    message: (path) => `the disk of ${path} is full`,
    hint: "Make room and sync again: what was committed is whole, and the sync goes on from there.",
  },
  {
    pattern: /Permission denied|Read-only file system/i,
    code: "DESTINATION_UNUSABLE",
    message: (path) => `path: ${path} can't be opened for writing`,
    hint: "Give this user the right to write the file and its folder, or choose another path.",
  },
  {
    pattern: /Cannot open file .*No such file or directory/s,
    code: "DESTINATION_UNUSABLE",
    message: (path) => `path: the folder of ${path} does not exist`,
    hint: "Make the folder, or choose another path.",
  },
  {
    pattern: /Cannot open file .*Is a directory|is a directory/is,
    code: "DESTINATION_UNUSABLE",
    message: (path) => `path: ${path} is a folder`,
    hint: "Name a file.",
  },
  {
    pattern: /not a valid DuckDB database|has an invalid magic|magic bytes/i,
    code: "DESTINATION_UNUSABLE",
    message: (path) => `path: ${path} is not a DuckDB file`,
    hint: "Choose another path; nothing of the file was changed.",
  },
  {
    pattern: /newer version of DuckDB|with version number/i,
    code: "DESTINATION_UNUSABLE",
    message: (path) => `path: ${path} was written by another version of DuckDB`,
    hint: "Use a newer Headwaters, or choose another path.",
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
    pattern: /TransactionContext Error: .*[Cc]onflict|write-write conflict/s,
    code: "LEASE_LOST",
    message: () => "another writer changed the same rows; nothing of this commit was kept",
    hint: "Sync again: it goes on from the last commit.",
  },
];

/** Whatever DuckDB threw, as what the user sees. `path` is that of the file. */
export function toHeadwatersError(thrown: unknown, path: string): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const native = thrown instanceof Error ? thrown.message : String(thrown);
  for (const { pattern, code, message, hint } of known) {
    const match = pattern.exec(native);
    if (match === null) continue;
    const said = code === "VALUE_OUT_OF_RANGE" || code === "LEASE_LOST" ? ` (${firstLine(native)})` : "";
    return new HeadwatersError(code, message(path, match) + said, { hint, cause: thrown });
  }
  return new HeadwatersError("DESTINATION_FAILED", `DuckDB, ${path}: ${firstLine(native)}`, { cause: thrown });
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.trim();
}
