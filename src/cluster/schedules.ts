import type { Client, ScheduleDescription, ScheduleOptionsStartWorkflowAction, ScheduleSpec } from "@temporalio/client";
import { HeadwatersError } from "../protocol/errors.ts";
import { type SyncRequest, type VerifyRequest, verifyWorkflowType, workflowId, workflowType } from "./contract.ts";
import { withPackages } from "./packages.ts";
import { connectionOptions, type TemporalSettings } from "./settings.ts";
import { connect } from "./worker.ts";

/** When a schedule starts a run: each `every` seconds, `offset` seconds after the full ones; or by expressions of cron. */
export type Moments =
  | { readonly every: number; readonly offset: number }
  | { readonly cron: readonly string[]; readonly zone: string };

/** What the runs of a schedule do. */
export type Kind = "sync" | "verify";

type Request = SyncRequest | VerifyRequest;

/** A schedule as it should be. Its request says in words when it starts a run. */
export interface Wanted {
  readonly run: Kind;
  readonly request: Request & { readonly schedule: string };
  readonly moments: Moments;
}

/** What is to be done about the schedule of a connection. */
export type Difference =
  | { readonly kind: "create" | "keep"; readonly wanted: Wanted; readonly isPaused: boolean }
  | { readonly kind: "change"; readonly wanted: Wanted; readonly before: Request; readonly isPaused: boolean }
  | { readonly kind: "remove"; readonly run: Kind; readonly connection: string; readonly before: Request };

/** The schedules of a task queue: those whose ids begin with its name. No others are looked at. */
export interface Schedules extends AsyncDisposable {
  /** What differs from the schedules that should be, in their order; what is to be removed comes last. */
  compare(wanted: readonly Wanted[]): Promise<readonly Difference[]>;
  apply(difference: Difference): Promise<void>;
}

/** A run that was missed, since Temporal was away, is made up for within this time. */
const catchupWindow = "1 hour";

export async function openSchedules(settings: TemporalSettings): Promise<Schedules> {
  const temporal = await withPackages(() => import("@temporalio/client"));
  const connection = await connect(() => temporal.Connection.connect(connectionOptions(settings)), settings);
  const { namespace, taskQueue } = settings;
  const { schedule: schedules }: Client = new temporal.Client({ connection, namespace });
  const prefixes = { sync: `headwaters/${taskQueue}/`, verify: `headwaters-verify/${taskQueue}/` } as const;
  const kinds = ["sync", "verify"] as const;
  const idOf = ({ run, request }: Wanted): string => prefixes[run] + request.connection;

  async function describe(id: string): Promise<ScheduleDescription | null> {
    try {
      return await schedules.getHandle(id).describe();
    } catch (thrown) {
      if (thrown instanceof temporal.ScheduleNotFoundError) return null;
      throw thrown;
    }
  }

  async function difference(one: Wanted): Promise<Difference> {
    const known = await describe(idOf(one));
    if (known === null) return { kind: "create", wanted: one, isPaused: false };
    const before = requestOf(known);
    const { paused: isPaused } = known.state;
    const isSame = JSON.stringify(before) === JSON.stringify(one.request);
    return isSame ? { kind: "keep", wanted: one, isPaused } : { kind: "change", wanted: one, before, isPaused };
  }

  return {
    async compare(wanted) {
      const gone: Difference[] = [];
      const ids = new Set(wanted.map(idOf));
      // The list may be some seconds behind.
      for await (const { scheduleId } of schedules.list()) {
        const run = kinds.find((kind) => scheduleId.startsWith(prefixes[kind]));
        if (run === undefined || ids.has(scheduleId)) continue;
        const known = await describe(scheduleId);
        const connection = scheduleId.slice(prefixes[run].length);
        if (known !== null) gone.push({ kind: "remove", run, connection, before: requestOf(known) });
      }
      const others: Difference[] = [];
      for (const one of wanted) others.push(await difference(one));
      return [...others, ...gone];
    },
    async apply(difference) {
      const { kind } = difference;
      if (kind === "keep") return;
      if (kind === "remove") return schedules.getHandle(prefixes[difference.run] + difference.connection).delete();
      const { run, request, moments } = difference.wanted;
      const { connection } = request;
      const action: ScheduleOptionsStartWorkflowAction<(request: Request) => Promise<unknown>> = {
        type: "startWorkflow",
        ...(run === "sync"
          ? { workflowType, workflowId: workflowId(connection) }
          : { workflowType: verifyWorkflowType, workflowId: `headwaters-verify/${connection}` }),
        taskQueue,
        args: [request],
      };
      const all = {
        spec: specOf(moments),
        action,
        policies: { overlap: temporal.ScheduleOverlapPolicy.SKIP, catchupWindow },
      } as const;
      try {
        const id = idOf(difference.wanted);
        if (kind === "create") await schedules.create({ scheduleId: id, ...all });
        // Whoever has paused it wants it paused.
        else await schedules.getHandle(id).update(({ state }) => ({ ...all, state }));
      } catch (thrown) {
        throw refusal(difference.wanted, thrown);
      }
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function requestOf({ action }: ScheduleDescription): Request {
  return (action.args as readonly Request[])[0]!;
}

function specOf(moments: Moments): ScheduleSpec {
  if ("every" in moments) return { intervals: [{ every: moments.every * 1_000, offset: moments.offset * 1_000 }] };
  return { cronExpressions: [...moments.cron], timezone: moments.zone };
}

/** The setting that says when runs of a kind start. */
const settingOf: Readonly<Record<Kind, string>> = { sync: "schedule", verify: "verify" };

/** Temporal's server knows less of cron than we do: no `L`, `W` or `#`. */
function refusal({ run, request: { connection, schedule } }: Wanted, thrown: unknown): unknown {
  // So its client reports a specification that the server refuses.
  if (!(thrown instanceof TypeError)) return thrown;
  return new HeadwatersError(
    "CONFIGURATION_INVALID",
    `connections.${connection}.${settingOf[run]}: Temporal does not accept "${schedule}": ${thrown.message}`,
    { cause: thrown },
  );
}
