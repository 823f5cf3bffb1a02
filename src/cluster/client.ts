import { HeadwatersError } from "../protocol/errors.ts";
import {
  type Ended,
  progressQuery,
  type SyncRequest,
  type TableProgress,
  workflowId,
  workflowType,
} from "./contract.ts";
import { withPackages } from "./packages.ts";
import { connectionOptions, type TemporalSettings } from "./settings.ts";
import { connect } from "./worker.ts";

/** How often a sync is asked how far it is, in milliseconds. */
const askEach = 500;

/** A sync that runs on Temporal. */
export interface StartedSync {
  /** The id of its record. */
  readonly run: string;
  /** Resolves once it has ended. `onProgress` is told what it has done, while somebody waits. */
  watch(onProgress: (tables: readonly TableProgress[]) => void, signal: AbortSignal): Promise<Ended | "left">;
  cancel(): Promise<void>;
}

/** Starts a sync. Throws `SYNC_RUNNING` while the connection has one on Temporal. Disposing lets it run. */
export async function startSync(
  settings: TemporalSettings,
  request: SyncRequest,
): Promise<StartedSync & AsyncDisposable> {
  const temporal = await withPackages(() => import("@temporalio/client"));
  const connection = await connect(() => temporal.Connection.connect(connectionOptions(settings)), settings);
  const { namespace, taskQueue } = settings;
  const client = new temporal.Client({ connection, namespace });
  const id = workflowId(request.connection);
  try {
    const handle = await client.workflow.start(workflowType, { workflowId: id, taskQueue, args: [request] });
    return {
      run: handle.firstExecutionRunId,
      async watch(onProgress, signal) {
        const left = new Promise<"left">((resolve) => signal.addEventListener("abort", () => resolve("left")));
        let since = 0;
        const ask = async (): Promise<void> => {
          // Nobody answers while no worker is there.
          const changed = await handle.query<readonly TableProgress[], [number]>(progressQuery, since).catch(() => []);
          since = changed.at(-1)?.change ?? since;
          onProgress(changed);
        };
        const result = (handle.result() as Promise<Ended>).catch((thrown: unknown): Ended => {
          if (isCancelled(thrown)) return { outcome: "stopped", whole: 0, failed: 0 };
          throw failureOf(thrown);
        });
        const ended = Promise.race([result, left]);
        const over = new AbortController();
        const end = (): void => over.abort();
        ended.then(end, end);
        while (!over.signal.aborted && !signal.aborted) {
          await Promise.race([ended.catch(() => {}), new Promise((resolve) => setTimeout(resolve, askEach))]);
          if (!signal.aborted) await Promise.race([ask(), left]);
        }
        return ended;
      },
      cancel: async () => void (await handle.cancel()),
      [Symbol.asyncDispose]: () => connection.close(),
    };
  } catch (thrown) {
    await connection.close();
    if (!(thrown instanceof temporal.WorkflowExecutionAlreadyStartedError)) throw thrown;
    throw new HeadwatersError(
      "SYNC_RUNNING",
      `connection "${request.connection}" is in use by workflow ${id} on Temporal`,
      {
        hint: "Wait until it ends, or cancel it.",
      },
    );
  }
}

function isCancelled(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === "CancelledFailure" || isCancelled(thrown.cause));
}

/** What ended the workflow, by the code that a worker gave it. */
function failureOf(thrown: unknown): unknown {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const { type } = error as { readonly type?: unknown };
    if (typeof type === "string" && error.name === "ApplicationFailure") return codedError(type, error.message);
  }
  return thrown;
}

function codedError(code: string, message: string): HeadwatersError {
  const text = message === code ? `the sync on Temporal failed: ${code}; a worker's log says why` : message;
  return new HeadwatersError(code as HeadwatersError["code"], text);
}
