import { HeadwatersError } from "../../protocol/errors.ts";

/** An error in a query that the user wrote, in the server's words. Errors of ours stay as they are. */
export function queryFailed(thrown: unknown): HeadwatersError {
  if (thrown instanceof HeadwatersError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new HeadwatersError(
    "CONFIGURATION_INVALID",
    `the query failed: ${
      text
        .replace(/^Failed to extract statements: /, "")
        .trim()
        .split("\n\n", 1)[0]!
    }`,
    {
      cause: thrown,
    },
  );
}
