import { readFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createTls } from "node:https";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { ServiceSettings } from "../settings.ts";

/** What a client may take, so that slow ones hold nothing for long. In milliseconds. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
};

/** A client that neither sends nor takes anything for so long is let go, in milliseconds: some answers take two minutes. */
const mostSilence = 150_000;

/** More connections than this at a time are closed at once. */
const mostConnections = 512;

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Listens. Throws `CONFIGURATION_INVALID` if that can't be. */
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
  // A reader of events that has gone without a word is noticed.
  server.on("connection", (socket) => socket.setKeepAlive(true, 30_000));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        new HeadwatersError("CONFIGURATION_INVALID", `can't listen at ${host}, port ${port} (${error.code})`, {
          hint: "Is another `headwaters up` at work? --port and --host name another place.",
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
      `service.tls: ${certificate} and ${key} are no certificate with its key (${(thrown as Error).message})`,
      { hint: "Both must be PEM, and the key that of the first certificate in the file.", cause: thrown },
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
