import type { KnownError } from "./errors.ts";

const inUse =
  "A DuckDB file has one user at a time. Wait for a sync that has it open; close a program that reads it; then run this again.";

/** DuckDB's messages about a DuckDB file, and the errors for the user. `setting` holds the path of the file. */
export function fileErrors(setting: string): readonly KnownError[] {
  return [
    {
      // "Conflicting lock is held in /usr/bin/duckdb (PID 4711) by user me."
      pattern: /Could not set lock on file .*?held in (.*?) \(PID (\d+)\)/s,
      code: "DESTINATION_BUSY",
      message: (path, [, program, pid]) =>
        `${setting}: ${path} is open in process ${pid} (${program!.split(/[\\/]/).at(-1)})`,
      hint: inUse,
    },
    {
      pattern: /Could not set lock on file|being used by another process/,
      code: "DESTINATION_BUSY",
      message: (path) => `${setting}: ${path} is open in another process`,
      hint: inUse,
    },
    {
      pattern: /Permission denied|Read-only file system/i,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: ${path} can't be opened for writing`,
      hint: "Give this user the right to write the file and its folder, or choose another path.",
    },
    {
      pattern: /Cannot open file .*No such file or directory/s,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: the folder of ${path} does not exist`,
      hint: "Make the folder, or choose another path.",
    },
    {
      pattern: /Cannot open file .*Is a directory|is a directory/is,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: ${path} is a folder`,
      hint: "Name a file.",
    },
    {
      pattern: /not a valid DuckDB database|has an invalid magic|magic bytes/i,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: ${path} is not a DuckDB file`,
      hint: "Choose another path. The file was not changed.",
    },
    {
      pattern: /newer version of DuckDB|with version number/i,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: ${path} was written by another version of DuckDB`,
      hint: "Use a newer Headwaters, or choose another path.",
    },
  ];
}
