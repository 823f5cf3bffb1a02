import { expect, test } from "vitest";
import { isTooStrong } from "./lookup.ts";
import { CqlServerError, serverErrors } from "../../wire/cql/server-error.ts";

// The texts are those of Cassandra 5.0.9.
test.each([
  [serverErrors.unavailable, "Cannot achieve consistency level ALL", true],
  [serverErrors.readTimeout, "Operation timed out - received only 1 responses.", true],
  [
    serverErrors.readFailure,
    "Operation failed - received 1 responses and 1 failures: UNKNOWN from /127.0.0.2:7000",
    true,
  ],
  [
    serverErrors.readFailure,
    "Operation failed - received 0 responses and 1 failures: READ_TOO_MANY_TOMBSTONES from /127.0.0.1:7000",
    false,
  ],
  [serverErrors.invalid, "unconfigured table", false],
])("a weaker consistency after error %i: %s", (code, message, weaker) => {
  expect(isTooStrong(new CqlServerError(code, message, 4))).toBe(weaker);
});
