/** A server's bytes are not what its protocol allows. `message`: what was sent. The connection can't be used any more. */
export class ProtocolBroken extends Error {}

/** Whatever a decoder threw: running past the end of the bytes, or using what is not there, means that they are malformed. */
export function asBroken(thrown: unknown, what: string): unknown {
  const malformed = thrown instanceof RangeError || thrown instanceof TypeError || thrown instanceof SyntaxError;
  return malformed ? new ProtocolBroken(`${what}: ${thrown.message}`, { cause: thrown }) : thrown;
}
