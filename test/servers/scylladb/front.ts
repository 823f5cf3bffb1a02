import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Of a frame of protocol 4: version, flags, stream (2 bytes), opcode, length (4 bytes). */
const headerBytes = 9;
const opcodes = { supported: 0x06, query: 0x07, prepare: 0x09 } as const;

/** Stands before a Cassandra, and lets it look like a ScyllaDB. */
export interface ScyllaFront extends AsyncDisposable {
  readonly port: number;
  /** Ends all connections; new ones work. */
  cut(): void;
}

/**
 * The system tables that only ScyllaDB has are looked for elsewhere: `renamed` gives names of the same length. `BYPASS CACHE`
 * is left out, and the server says of itself what ScyllaDB says.
 */
export async function startScyllaFront(
  { host, port }: { readonly host: string; readonly port: number },
  renamed: ReadonlyMap<string, string>,
): Promise<ScyllaFront> {
  const sockets = new Set<Socket>();
  const statements = [...renamed, [" BYPASS CACHE", " ".repeat(13)] as const];
  const rewritten = (frame: Buffer): Buffer => {
    if (frame[4] !== opcodes.query && frame[4] !== opcodes.prepare) return frame;
    let text = frame.toString("latin1");
    for (const [from, to] of statements) text = text.replaceAll(from, to);
    return Buffer.from(text, "latin1");
  };
  const carry = (from: Socket, to: Socket, change: (frame: Buffer) => Buffer): void => {
    let left: Buffer = Buffer.alloc(0);
    from.on("data", (chunk: Buffer) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= headerBytes) {
        const length = headerBytes + left.readInt32BE(5);
        if (left.length < length) return;
        to.write(change(left.subarray(0, length)));
        left = left.subarray(length);
      }
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    const behind = connect({ host, port });
    for (const socket of [client, behind]) sockets.add(socket);
    carry(client, behind, rewritten);
    carry(behind, client, withScylla);
  });
  server.listen(0, host);
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}

/** Adds an option to the answer that says what the server can do. */
function withScylla(frame: Buffer): Buffer {
  if (frame[4] !== opcodes.supported) return frame;
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
  const option = Buffer.concat([text("SCYLLA_STAND_IN"), Buffer.from([0, 1]), text("1")]);
  const changed = Buffer.concat([frame, option]);
  changed.writeInt32BE(changed.length - headerBytes, 5);
  changed.writeUInt16BE(frame.readUInt16BE(headerBytes) + 1, headerBytes);
  return changed;
}
