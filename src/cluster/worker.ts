import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { fileURLToPath } from "node:url";
import { HeadwatersError } from "../protocol/errors.ts";
import { type Host, Work } from "./activities.ts";
import { withPackages } from "./packages.ts";
import { connectionOptions, type TemporalSettings } from "./settings.ts";

/** The workflows as the build bundles them, so that all workers of a version run the same. */
const bundle = fileURLToPath(new URL("../cluster/workflow-bundle.js", import.meta.url));

/** Snapshots that a process holds at the same time, at most: each is a session at the source. */
const mostHeld = 1_000;

/** An attempt learns within this time that nobody waits for it, in milliseconds. */
const mostDeaf = 5_000;

export interface WorkerOptions {
  /** Activities at the same time. */
  readonly concurrency: number;
  /** Where `/healthz` is served; `null`: nowhere. */
  readonly health: { readonly host: string; readonly port: number } | null;
  /** Aborted: what is under way is ended, and nothing new taken. */
  readonly signal: AbortSignal;
  /** How long a drain may take, in milliseconds. */
  readonly drainMilliseconds: number;
  onReady(): void;
}

/** Works for Temporal until the signal, and then ends what it has begun. */
export async function runWorker(settings: TemporalSettings, host: Host, options: WorkerOptions): Promise<void> {
  const { DefaultLogger, NativeConnection, Runtime, Worker } = await withPackages(() => import("@temporalio/worker"));
  const { ApplicationFailure, Context } = await withPackages(() => import("@temporalio/activity"));
  // What Temporal's packages say of themselves is for those who look for a fault in them.
  const told = new DefaultLogger("INFO", ({ level, message }) => host.debug(`temporal, ${level}: ${message}`));
  Runtime.install({ logger: told, shutdownSignals: [] });
  const queue = `${settings.taskQueue}/${randomUUID()}`;
  const attempt = () => {
    const { cancellationSignal, info, heartbeat } = Context.current();
    return {
      signal: cancellationSignal,
      attempt: info.attempt,
      began: new Date(info.scheduledTimestampMs).toISOString(),
      workflow: info.workflowExecution!.workflowId,
      heartbeatTimeout: info.heartbeatTimeoutMs!,
      heartbeat: () => heartbeat(),
    };
  };
  await using work = new Work(host, queue, attempt, (code, retryable, message) =>
    ApplicationFailure.create({ type: code, message, nonRetryable: !retryable }),
  );
  const connection = await connect(() => NativeConnection.connect(connectionOptions(settings)), settings);
  try {
    const { namespace, taskQueue } = settings;
    const both = {
      ...{ connection, namespace },
      shutdownGraceTime: options.drainMilliseconds,
      // An attempt hears from the answer to a heartbeat that it is cancelled, or given up.
      maxHeartbeatThrottleInterval: mostDeaf,
    };
    const main = await Worker.create({
      ...{ ...both, taskQueue, activities: work.activities },
      workflowBundle: { codePath: bundle },
      maxConcurrentActivityTaskExecutions: options.concurrency,
    });
    const { hold } = work.activities;
    const holding = await Worker.create({
      ...{ ...both, taskQueue: queue, activities: { hold } },
      maxConcurrentActivityTaskExecutions: mostHeld,
    });
    const health = options.health === null ? null : await serveHealth(options.health, () => main.getState());
    const stop = (): void => {
      main.shutdown();
      holding.shutdown();
    };
    options.signal.addEventListener("abort", stop);
    if (options.signal.aborted) stop();
    options.onReady();
    try {
      await Promise.all([main.run(), holding.run()]);
    } finally {
      options.signal.removeEventListener("abort", stop);
      health?.close();
    }
  } finally {
    await connection.close();
  }
}

/** Connects to Temporal. Throws `CONNECTION_REFUSED` with the address. */
export async function connect<Connection>(
  work: () => Promise<Connection>,
  { address }: TemporalSettings,
): Promise<Connection> {
  try {
    return await work();
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.split("\n")[0] : String(thrown);
    throw new HeadwatersError(
      "CONNECTION_REFUSED",
      `temporal.address: Temporal can't be reached at ${address}: ${reason}`,
      {
        hint: "Check that it runs there, and whether it requires TLS or an API key.",
        cause: thrown,
      },
    );
  }
}

function serveHealth({ host, port }: NonNullable<WorkerOptions["health"]>, state: () => string): Promise<Server> {
  const server = createServer((request, response) => {
    const isHealthy = request.url === "/healthz" && state() === "RUNNING";
    response.writeHead(isHealthy ? 200 : 503).end(`${state()}\n`);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}
