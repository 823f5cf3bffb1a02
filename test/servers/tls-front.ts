import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import type { Certificate } from "./certificate.ts";

/** Stands before a server that wants TLS, with a certificate of its own. */
export interface TlsFront extends AsyncDisposable {
  readonly port: number;
  /** Connections from now on see another certificate. */
  show(certificate: Certificate): void;
}

/** Listens on the loopback addresses of both families, so that `localhost` reaches it too. */
export async function startTlsFront(
  { host, port }: { readonly host: string; readonly port: number },
  { certificate: cert, key }: Certificate,
): Promise<TlsFront> {
  const open = new Set<Socket>();
  const server = createServer({ cert, key }, (client: TLSSocket) => {
    const behind = connect({ host, port, rejectUnauthorized: false });
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
  server.listen(0);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    show: ({ certificate: cert, key }) => server.setSecureContext({ cert, key }),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
