import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands before a server, and is away from `stop` on: nothing listens at its port any more. */
export interface Front extends AsyncDisposable {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startFront({ host, port }: { readonly host: string; readonly port: number }): Promise<Front> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect({ host, port });
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      open.add(one);
      one.once("close", () => other.destroy());
      one.on("error", () => other.destroy());
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, "close");
  };
  return { port: (server.address() as AddressInfo).port, stop, [Symbol.asyncDispose]: stop };
}
