import { describe, expect, test } from "vitest";
import { HeadwatersError } from "../../protocol/errors.ts";
import { fileError } from "./file-error.ts";

const path = "/data/warehouse.duckdb";

describe("errors of DuckDB", () => {
  test.each([
    [
      `IO Error: Could not set lock on file "${path}": Conflicting lock is held in /usr/bin/node (PID 6556). See also …`,
      "DESTINATION_BUSY",
      "process 6556 (node)",
    ],
    [
      "IO Error: Cannot open file: The process cannot access the file because it is being used by another process.",
      "DESTINATION_BUSY",
      path,
    ],
    [`IO Error: Could not write file "${path}.wal": No space left on device`, "DESTINATION_FULL", path],
    [
      `TransactionContext Error: Failed to commit: Could not write file "${path}.wal": No space left on device`,
      "DESTINATION_FULL",
      path,
    ],
    [`IO Error: Cannot open file "${path}": Permission denied`, "DESTINATION_UNUSABLE", path],
    [`IO Error: Cannot open file "${path}": Is a directory`, "DESTINATION_UNUSABLE", "folder"],
    [
      `IO Error: The file "${path}" exists, but it is not a valid DuckDB database file!`,
      "DESTINATION_UNUSABLE",
      "not a DuckDB file",
    ],
    [
      "Out of Memory Error: failed to allocate data of size 16.0 MiB (243.2 MiB/244.1 MiB used)",
      "DESTINATION_UNUSABLE",
      "memory_limit",
    ],
    [
      "FATAL Error: Transaction COMMIT succeeded and is durable, but the autocheckpoint failed. Reopen the database instance to recover. Failed to create checkpoint because of error: failed to pin block of size 256.0 KiB (183.0 MiB/183.1 MiB used)\n\nPossible solutions:",
      "DESTINATION_UNUSABLE",
      "write its log",
    ],
    [
      'Conversion Error: Casting value "99999.99" to type DECIMAL(5,2) failed: value is out of range!\n\nLINE 1: …',
      "VALUE_OUT_OF_RANGE",
      "99999.99",
    ],
    ["TransactionContext Error: Conflict on update!", "WRITE_CONFLICT", "Conflict on update"],
    ["Binder Error: something that nobody has seen", "DESTINATION_FAILED", "something that nobody has seen"],
  ])("%s", (native, code, words) => {
    const cause = new Error(native);
    const error = fileError(cause, path);
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(error.message).not.toContain("\n");
    expect(error.cause).toBe(cause);
    if (code !== "DESTINATION_FAILED") expect(error.hint).toBeTruthy();
  });

  test("our own pass through", () => {
    const own = new HeadwatersError("DEFECT", "ours");
    expect(fileError(own, path)).toBe(own);
  });
});
