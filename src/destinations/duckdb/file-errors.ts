import type { KnownError } from "./errors.ts";

/** DuckDB's messages about a DuckDB file, and the errors for the user. `setting` holds the path of the file. */
export function fileErrors(setting: string): readonly KnownError[] {
  return [
    {
      pattern: /Could not set lock on file .*?\(PID (\d+)\)/s,
      code: "SYNC_RUNNING",
      message: (path, match) => `${setting}: ${path} is in use by process ${match[1]}`,
      hint: "Wait until it has ended, or stop it: a DuckDB file has one user at a time.",
    },
    {
      pattern: /Could not set lock on file|being used by another process/,
      code: "SYNC_RUNNING",
      message: (path) => `${setting}: ${path} is in use by another process`,
      hint: "Wait until it has ended, or stop it: a DuckDB file has one user at a time.",
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
      hint: "Choose another path; nothing of the file was changed.",
    },
    {
      pattern: /newer version of DuckDB|with version number/i,
      code: "DESTINATION_UNUSABLE",
      message: (path) => `${setting}: ${path} was written by another version of DuckDB`,
      hint: "Use a newer Headwaters, or choose another path.",
    },
  ];
}
