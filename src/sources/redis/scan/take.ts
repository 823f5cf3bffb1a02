import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import { replyKind } from "../../../wire/resp/replies.ts";

/** The number in a complete reply. Throws if the reply is an error. */
export function takeInteger(connection: RespConnection): number {
  if (connection.replies.next() === replyKind.error) throw takeError(connection);
  const { value } = connection.replies;
  connection.done();
  return value;
}

/** The error in a complete reply that is known to be an error. */
export function takeError(connection: RespConnection): RespError {
  const error = new RespError(connection.replies.text());
  connection.done();
  return error;
}
