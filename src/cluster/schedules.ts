import type { Client, ScheduleDescription, ScheduleOptionsStartWorkflowAction, ScheduleSpec } from "@temporalio/client";
import { HeadwatersError } from "../protocol/errors.ts";
import { type SyncRequest, workflowId, workflowType } from "./contract.ts";
import { withPackages } from "./packages.ts";
import { connectionOptions, type TemporalSettings } from "./settings.ts";
import { connect } from "./worker.ts";

/** When a schedule starts a sync: each `every` seconds, `offset` seconds after the full ones; or by expressions of cron. */
export type Moments =
  | { readonly every: number; readonly offset: number }
  | { readonly cron: readonly string[]; readonly zone: string };

/** A schedule as it should be. Its request says in words when it starts a sync. */
export interface Wanted {
  readonly request: SyncRequest & { readonly schedule: string };
  readonly moments: Moments;
}

/** What is to be done about the schedule of a connection. */
export type Difference =
  | { readonly kind: "create" | "keep"; readonly wanted: Wanted; readonly isPaused: boolean }
  | { readonly kind: "change"; readonly wanted: Wanted; readonly before: SyncRequest; readonly isPaused: boolean }
  | { readonly kind: "remove"; readonly connection: string; readonly before: SyncRequest };

/** The schedules of a task queue: those whose ids begin with its name. No others are looked at. */
export interface Schedules extends AsyncDisposable {
  /** What differs from the schedules that should be, in their order; what is to be removed comes last. */
  compare(wanted: readonly Wanted[]): Promise<readonly Difference[]>;
  apply(difference: Difference): Promise<void>;
}

/** A sync that was missed, since Temporal was away, is made up for within this time. */
const catchupWindow = "1 hour";

export async function openSchedules(settings: TemporalSettings): Promise<Schedules> {
  const temporal = await withPackages(() => import("@temporalio/client"));
  const connection = await connect(() => temporal.Connection.connect(connectionOptions(settings)), settings);
  const { namespace, taskQueue } = settings;
  const { schedule: schedules }: Client = new temporal.Client({ connection, namespace });
  const prefix = `headwaters/${taskQueue}/`;
  const idOf = (name: string): string => prefix + name;

  async function describe(id: string): Promise<ScheduleDescription | null> {
    try {
      return await schedules.getHandle(id).describe();
    } catch (thrown) {
      if (thrown instanceof temporal.ScheduleNotFoundError) return null;
      throw thrown;
    }
  }

  async function difference(one: Wanted): Promise<Difference> {
    const known = await describe(idOf(one.request.connection));
    if (known === null) return { kind: "create", wanted: one, isPaused: false };
    const before = requestOf(known);
    const { paused: isPaused } = known.state;
    const isSame = JSON.stringify(before) === JSON.stringify(one.request);
    return isSame ? { kind: "keep", wanted: one, isPaused } : { kind: "change", wanted: one, before, isPaused };
  }

  return {
    async compare(wanted) {
      const gone: Difference[] = [];
      // The list may be some seconds behind.
      for await (const { scheduleId } of schedules.list()) {
        const name = scheduleId.slice(prefix.length);
        if (!scheduleId.startsWith(prefix) || wanted.some(({ request }) => request.connection === name)) continue;
        const known = await describe(scheduleId);
        if (known !== null) gone.push({ kind: "remove", connection: name, before: requestOf(known) });
      }
      const others: Difference[] = [];
      for (const one of wanted) others.push(await difference(one));
      return [...others, ...gone];
    },
    async apply(difference) {
      const { kind } = difference;
      if (kind === "keep") return;
      if (kind === "remove") return schedules.getHandle(idOf(difference.connection)).delete();
      const { request, moments } = difference.wanted;
      const action: ScheduleOptionsStartWorkflowAction<(request: SyncRequest) => Promise<unknown>> = {
        type: "startWorkflow",
        workflowType,
        workflowId: workflowId(request.connection),
        taskQueue,
        args: [request],
      };
      const all = {
        spec: specOf(moments),
        action,
        policies: { overlap: temporal.ScheduleOverlapPolicy.SKIP, catchupWindow },
      } as const;
      try {
        const id = idOf(request.connection);
        if (kind === "create") await schedules.create({ scheduleId: id, ...all });
        // Whoever has paused it wants it paused.
        else await schedules.getHandle(id).update(({ state }) => ({ ...all, state }));
      } catch (thrown) {
        throw refusal(request, thrown);
      }
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function requestOf({ action }: ScheduleDescription): SyncRequest {
  return (action.args as readonly SyncRequest[])[0]!;
}

function specOf(moments: Moments): ScheduleSpec {
  if ("every" in moments) return { intervals: [{ every: moments.every * 1_000, offset: moments.offset * 1_000 }] };
  return { cronExpressions: [...moments.cron], timezone: moments.zone };
}

/** Temporal's server knows less of cron than we do: no `L`, `W` or `#`. */
function refusal({ connection, schedule }: Wanted["request"], thrown: unknown): unknown {
  // So its client reports a specification that the server refuses.
  if (!(thrown instanceof TypeError)) return thrown;
  return new HeadwatersError(
    "CONFIGURATION_INVALID",
    `connections.${connection}.schedule: Temporal does not take "${schedule}": ${thrown.message}`,
    { cause: thrown },
  );
}
