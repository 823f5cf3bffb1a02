import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
} from "@grpc/grpc-js";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import { configurationForm } from "./form.ts";
import type { Severe } from "./log.ts";
import { openSource } from "./open-source.ts";
import { loadProtocol, type UpdateRequest } from "./protocol.ts";
import type { ServedSource } from "./served-source.ts";
import { explain, statusOf } from "./status.ts";
import { testSource } from "./test-source.ts";
import { tableMessage } from "./types.ts";
import { update } from "./update.ts";

/** A request carries the state, and certificates. */
const mostRequestBytes = 64 << 20;

/** How long a sync may take to send its last checkpoint once the server stops, in milliseconds. */
const stopMilliseconds = 10_000;

/** A server that runs until it is disposed. Disposing lets syncs send their last checkpoint. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number;
}

type Configured = { readonly configuration: Readonly<Record<string, string>> };

/** Serves a source to Fivetran at `host` and `port`. Throws `CONFIGURATION_INVALID` if it can't listen there. */
export async function startServer(
  served: ServedSource,
  at: { readonly host: string; readonly port: number },
  log: Log & Severe,
): Promise<RunningServer> {
  const protocol = loadProtocol();
  const stopping = new AbortController();
  const server = new Server({
    "grpc.max_receive_message_length": mostRequestBytes,
    // Rows may be of any size; the client decides whether it accepts them.
    "grpc.max_send_message_length": -1,
  });

  /** A handler for calls that are not streams. */
  function answer<Request, Response>(work: (request: Request, signal: AbortSignal) => Promise<Response>) {
    return (call: ServerUnaryCall<Request, Response>, respond: sendUnaryData<Response>): void => {
      const signal = AbortSignal.any([goneSignal(call), stopping.signal]);
      work(call.request, signal).then(
        (response) => respond(null, response),
        (thrown: unknown) => {
          const failed = statusOf(thrown, served.redact);
          if (!signal.aborted) log.severe(failed.details);
          respond(failed);
        },
      );
    };
  }

  server.addService(protocol.service, {
    ConfigurationForm: answer(async () => configurationForm(served)),
    Test: answer(async ({ name, configuration }: Configured & { readonly name: string }, signal) => {
      const failure = await testSource(served, name, configuration, log, signal);
      return failure === null ? { success: true } : { failure: served.redact(failure) };
    }),
    Schema: answer(async ({ configuration }: Configured, signal) => {
      await using open = await openSource(served, configuration, log, signal);
      const tables = await open.source.discover(signal);
      // It stays in the form, so that it is not taken for dropped; its sync reports the error.
      for (const { refused } of tables) if (refused !== undefined) log.warn(explain(refused));
      return { withSchema: { schemas: [{ name: open.schema, tables: tables.map(tableMessage) }] } };
    }),
    Update(call: ServerWritableStream<UpdateRequest, Uint8Array>) {
      const gone = goneSignal(call);
      const { signal } = stopping;
      update(call.request, { served, protocol, log, stream: call, gone, stopping: signal }).then(
        () => call.end(),
        (thrown: unknown) => {
          if (gone.aborted) return log.info("The sync was cancelled; the next one goes on from the last checkpoint.");
          const failed: Partial<StatusObject> = statusOf(thrown, served.redact);
          log.severe(failed.details ?? "");
          // Ends the stream with this status, after everything that was sent.
          return call.emit("error", failed);
        },
      );
    },
  });
  const port = await listen(server, at);
  return {
    port,
    async [Symbol.asyncDispose]() {
      stopping.abort(new HeadwatersError("SERVER_UNAVAILABLE", "the connector is stopping"));
      await new Promise<void>((resolve) => {
        const force = setTimeout(() => server.forceShutdown(), stopMilliseconds);
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
    },
  };
}

/** Aborted when the client has hung up. */
function goneSignal(call: { on(event: "cancelled", listener: () => void): unknown }): AbortSignal {
  const gone = new AbortController();
  call.on("cancelled", () => gone.abort(new HeadwatersError("CONNECTION_LOST", "the client ended the call")));
  return gone.signal;
}

/** Resolves to the port. On machines without IPv6, `::` means all IPv4 addresses. */
async function listen(server: Server, at: { readonly host: string; readonly port: number }): Promise<number> {
  const hosts = at.host === "::" ? ["[::]", "0.0.0.0"] : [at.host.includes(":") ? `[${at.host}]` : at.host];
  let reason = "";
  for (const host of hosts) {
    try {
      return await bind(server, `${host}:${at.port}`);
    } catch (error) {
      reason ||= error instanceof Error ? error.message : String(error);
    }
  }
  throw new HeadwatersError(
    "CONFIGURATION_INVALID",
    `the server can't listen at ${at.host}, port ${at.port}: ${reason}`,
    {
      hint: "Choose another --port or --host, or stop the program that listens there.",
    },
  );
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}
