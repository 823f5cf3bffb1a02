import { ProtocolBroken } from "../../../net/broken.ts";
import type { RespConnection } from "../../../wire/resp/connection.ts";
import { RespError } from "../../../wire/resp/errors.ts";
import { replyKind } from "../../../wire/resp/replies.ts";

/** The number in a complete reply. Throws if the reply is an error. */
export function takeInteger(connection: RespConnection): number {
  const kind = connection.replies.next();
  if (kind === replyKind.error) throw takeError(connection);
  if (kind !== replyKind.integer) throw new ProtocolBroken("an answer that should be a number is none");
  const { value } = connection.replies;
  connection.done();
  return value;
}

/** The error in a complete reply that is known to be an error. */
export function takeError(connection: RespConnection, command: string | null = null): RespError {
  const error = new RespError(connection.replies.text(), command);
  connection.done();
  return error;
}
