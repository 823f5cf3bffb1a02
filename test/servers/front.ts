import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** Stands before a server, and is away from `stop` on, until `start`: nothing listens at its port. */
export interface Front extends AsyncDisposable {
  readonly port: number;
  start(): Promise<void>;
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
  const listen = async (port: number): Promise<number> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of open) socket.destroy();
    await once(server, "close");
  };
  const own = await listen(0);
  return { port: own, start: async () => void (await listen(own)), stop, [Symbol.asyncDispose]: stop };
}
