import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * What may go wrong between a client and a server.
 *
 * - `cut`, `reset`: the connections that are open end, in good order or not.
 * - `forget`: they end for the clients, and the server does not learn of it, as behind a router that has restarted.
 * - `freeze`: nothing passes on the connections that are open, which stay open; new ones work.
 * - `silent`: likewise, and new ones freeze after the login.
 * - `drip`: the server's bytes pass one by one.
 */
export type Fault = "cut" | "reset" | "forget" | "freeze" | "silent" | "drip";

/** Stands before a server, and is away from `stop` on, until `start`: nothing listens at its port. */
export interface Front extends AsyncDisposable {
  readonly port: number;
  /** The most connections that were open at the same time. */
  most(): number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves, after `act` was called, as soon as that many more bytes have come from the server or gone to it. */
  after(bytes: number, act: () => void): Promise<void>;
  /** Lets something go wrong, until `heal`. */
  break(fault: Fault): void;
  /** Ends all connections; new ones work. */
  heal(): void;
}

/** The bytes of a login and of the first answers. */
const loginBytes = 300;
const dripMilliseconds = 50;

interface Line {
  readonly client: Socket;
  readonly behind: Socket;
  frozen: boolean;
  came: number;
}

export async function startFront({ host, port }: { readonly host: string; readonly port: number }): Promise<Front> {
  const lines = new Set<Line>();
  /** Connections to the server whose clients are gone. */
  const forgotten = new Set<Socket>();
  let most = 0;
  let fault: Fault | null = null;
  let waiting: { left: number; act: () => void } | null = null;

  const passed = (bytes: number): void => {
    if (waiting === null) return;
    waiting.left -= bytes;
    if (waiting.left > 0) return;
    const { act } = waiting;
    waiting = null;
    act();
  };

  const carry = (line: Line, from: Socket, to: Socket): void => {
    const drops: Buffer[] = [];
    let dripping: NodeJS.Timeout | null = null;
    from.on("data", (chunk: Buffer) => {
      passed(chunk.length);
      if (from === line.behind) line.came += chunk.length;
      if (fault === "silent" && line.came > loginBytes) line.frozen = true;
      if (line.frozen || to.destroyed) return;
      if (fault === "drip" && from === line.behind) {
        drops.push(chunk);
        dripping ??= setInterval(() => {
          const first = drops[0];
          if (first === undefined || line.frozen) return;
          to.write(first.subarray(0, 1));
          if (first.length === 1) drops.shift();
          else drops[0] = first.subarray(1);
        }, dripMilliseconds);
      } else if (!to.write(chunk)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    });
    from.on("end", () => void (line.frozen || to.end()));
    from.on("error", () => to.destroy());
    from.once("close", () => {
      if (dripping !== null) clearInterval(dripping);
      lines.delete(line);
      if (!forgotten.has(to) && (!line.frozen || from === line.client)) to.destroy();
    });
  };

  const server = createServer({ allowHalfOpen: true }, (client) => {
    const behind = connect({ host, port, allowHalfOpen: true });
    const line: Line = { client, behind, frozen: false, came: 0 };
    lines.add(line);
    most = Math.max(most, lines.size);
    carry(line, client, behind);
    carry(line, behind, client);
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const endAll = (how: (socket: Socket) => void): void => {
    for (const { client, behind } of lines) {
      how(client);
      behind.destroy();
    }
    for (const socket of forgotten) socket.destroy();
    forgotten.clear();
  };
  const forget = (): void => {
    for (const line of lines) {
      line.frozen = true;
      forgotten.add(line.behind);
      line.client.resetAndDestroy();
    }
  };
  const heal = (): void => {
    fault = null;
    endAll((client) => client.destroy());
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    endAll((client) => client.destroy());
    await once(server, "close");
  };
  const own = await listen(0);
  return {
    port: own,
    most: () => most,
    start: async () => void (await listen(own)),
    stop,
    after: (bytes, act) =>
      new Promise((resolve) => {
        waiting = {
          left: bytes,
          act: () => {
            act();
            resolve();
          },
        };
      }),
    break(what) {
      fault = what;
      if (what === "cut") endAll((client) => client.end());
      else if (what === "reset") endAll((client) => client.resetAndDestroy());
      else if (what === "forget") forget();
      else if (what !== "drip") for (const line of lines) line.frozen = true;
    },
    heal,
    [Symbol.asyncDispose]: stop,
  };
}
