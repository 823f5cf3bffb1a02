import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createTls } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { ServiceSettings } from "../settings.ts";

/** Time limits for clients, so that slow ones hold nothing for long, in milliseconds. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
};

/** A client that is idle for this long is disconnected, in milliseconds: some answers take two minutes. */
const mostSilence = 150_000;

/** More connections than this at a time are closed at once. */
const mostConnections = 512;

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Listens. Throws `CONFIGURATION_INVALID` if that fails. */
export async function listen(
  fetch: Parameters<typeof getRequestListener>[0],
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls: ServiceSettings["tls"] },
): Promise<Listening> {
  const listener = getRequestListener(fetch);
  const options = { ...limits, maxHeaderSize: 16 << 10 };
  const server =
    tls === null || tls === "proxy"
      ? createPlain(options, listener)
      : withCertificate(tls, (files) => createTls({ ...options, ...files }, listener));
  server.setTimeout(mostSilence);
  server.maxConnections = mostConnections;
  server.maxHeadersCount = 100;
  // This notices readers of events that vanished silently.
  server.on("connection", (socket) => socket.setKeepAlive(true, 30_000));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new HeadwatersError("CONFIGURATION_INVALID", `can't listen at ${host}, port ${port} (${error.code})`, {
          hint: "Check whether another `headwaters up` runs, or set another --port or --host.",
          cause: error,
        }),
      ),
    );
    server.listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Throws `CONFIGURATION_INVALID` if the files hold no certificate with its key. */
function withCertificate<Server>(
  { certificate, key }: { readonly certificate: string; readonly key: string },
  create: (files: { readonly cert: string; readonly key: string }) => Server,
): Server {
  const files = { cert: pem(certificate, "certificate"), key: pem(key, "key") };
  try {
    return create(files);
  } catch (thrown) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `service.tls: ${certificate} and ${key} are not a certificate and its key (${(thrown as Error).message})`,
      { hint: "Give both as PEM. The key must belong to the first certificate in the file.", cause: thrown },
    );
  }
}

function pem(file: string, setting: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code ?? String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `service.tls.${setting}: ${file} can't be read (${code})`, {
      hint: "Check its path and permissions.",
    });
  }
}
