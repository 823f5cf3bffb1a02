import { createHmac } from "node:crypto";
import type { Log } from "../protocol/log.ts";
import { backoff, sleep } from "../toolkit/backoff.ts";
import { size } from "../toolkit/figures.ts";
import type { SchemaChange } from "../protocol/readable.ts";
import type { ConnectionReport } from "./api.ts";
import type { AlertKind, Webhook } from "./settings.ts";

/** An alert about a connection: the JSON body, as `docs/up.md` describes it. */
export interface Alert {
  readonly event: AlertKind | "test";
  readonly connection: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  /** One sentence or two. */
  readonly message: string;
  /** What to do. */
  readonly hint: string | null;
  readonly code: string | null;
}

/** An alert, with the value that must change before it is sent again. */
export interface Matter {
  readonly alert: Alert;
  /** Sent once for each matter and value. */
  readonly matter: string;
  readonly value: string;
}

/** An alert is sent if the source keeps more than this part of its limit. */
const mostRetained = 0.8;

const attempts = 5;
/** In milliseconds. */
const mostAnswer = 10_000;

/** The alerts that a connection calls for now. `after`: how many failures in a row. */
export function mattersOf(connection: ConnectionReport, after: number, at: string): readonly Matter[] {
  const { name, error, failures, state, held, lastProof, lastRun, stream, asOf, paused } = connection;
  const matters: Matter[] = [];
  const add = (event: AlertKind, value: string, message: string, more: Partial<Alert> = {}): void => {
    const alert = { event, connection: name, at, message: `${name}: ${message}`, hint: null, code: null, ...more };
    matters.push({ alert, matter: `${event}:${name}`, value });
  };
  // While it is followed, its tables count, not how the run before ended.
  const isOver = stream === null && (lastRun?.outcome === "failed" || lastRun?.outcome === "died");
  const failed = isOver ? lastRun!.error : null;
  const wrong = failed ?? (state === "problem" && (lastRun === null || stream !== null) ? error : null);
  if (wrong !== null && (failures >= after || failed === null)) {
    const row =
      stream !== null ? connection.says : failures > 1 ? `${failures} syncs in a row failed` : "the last sync failed";
    add("failed", wrong.code, `${row}: ${wrong.message} (${wrong.code})`, { hint: wrong.hint, code: wrong.code });
  }
  if (isStale(connection, Date.parse(at))) {
    const what = asOf === null ? "a table of its copy was never whole." : "its copy is older than its limit.";
    add("stale", "late", what, { hint: paused ? "Resume it: it is paused." : "Check why its runs are late." });
  }
  if (lastProof?.verdict === "DIVERGED") {
    const hint = "headwaters verify names the rows; headwaters sync --full writes what differs.";
    add("diverged", "DIVERGED", "the last proof is DIVERGED: the copy differs from its source.", { hint });
  }
  if (stream?.retainedLimit != null && (stream.retainedBytes ?? 0) > mostRetained * stream.retainedLimit) {
    const [kept, limit] = [size(stream.retainedBytes!), size(stream.retainedLimit)];
    add("log retained", "near", `the source keeps ${kept} of its log for this copy; at ${limit} the log is dropped.`, {
      hint: "Check which table fails, or why the destination is away. If the log is dropped, the tables that need it are read whole.",
    });
  }
  for (const { table, gone, of } of held) {
    const alert: Alert = {
      event: "delete limit",
      connection: name,
      at,
      message: `${name}: ${gone} of ${of} rows of "${table}" are no longer in the source; their deletes are held back.`,
      hint: "If that is right, accept the deletes. Otherwise check the source.",
      code: "DELETES_STOPPED",
    };
    matters.push({ alert, matter: `delete limit:${name}:${table}`, value: `${gone}/${of}` });
  }
  return matters;
}

/** Whether a copy is older than its limit, even while its connection is paused, fails or runs for long. */
export function isStale({ state, asOf, freshness }: ConnectionReport, now: number): boolean {
  return state === "late" || (asOf !== null && freshness !== null && now - Date.parse(asOf) > freshness);
}

/** What was sent to webhooks, by webhook and matter. */
export type Told = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Sends alerts to webhooks, each once until it changes. */
export class Alerts {
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #save: (told: Told) => void;
  #told: Told;
  readonly #sending = new Set<string>();
  /** By connection: looks again. What changes while an alert is on its way is told after it. */
  readonly #again = new Map<string, () => void>();

  constructor(log: Log, signal: AbortSignal, told: Told, save: (told: Told) => void) {
    this.#log = log;
    this.#signal = signal;
    this.#told = told;
    this.#save = save;
  }

  /** Looks at a connection, and sends the alerts that were not sent yet. */
  look(webhooks: Readonly<Record<string, Webhook>>, connection: ConnectionReport): void {
    this.#again.set(connection.name, () => this.look(webhooks, connection));
    const at = new Date().toISOString();
    for (const [name, webhook] of Object.entries(webhooks)) {
      const told = this.#told[name] ?? {};
      const matters = mattersOf(connection, webhook.after, at);
      for (const { alert, matter, value } of matters)
        if (told[matter] !== value) this.#tell(name, webhook, alert, matter, value);
      // While it runs, it is not known whether something is over.
      if (connection.state === "running") continue;
      const over = Object.keys(told).filter(
        (matter) =>
          connectionOf(matter) === connection.name &&
          !matter.startsWith("happened:") &&
          !matters.some((one) => one.matter === matter),
      );
      for (const matter of over) {
        const isFailure = matter.startsWith("failed:");
        // No run has ended yet that would show whether the problem is over.
        const isGood =
          connection.stream === null ? connection.lastRun?.outcome === "succeeded" : isFollowing(connection);
        if (isFailure && !isGood) continue;
        if (isFailure) this.#tell(name, webhook, recovered(connection.name, at), matter, null);
        else this.#remember(name, matter, null);
      }
    }
  }

  /** Sends an alert about an event that does not last. */
  happened(webhooks: Readonly<Record<string, Webhook>>, alert: Alert, value: string): void {
    for (const [name, webhook] of Object.entries(webhooks)) {
      const matter = `happened:${alert.event}:${alert.connection}`;
      if (this.#told[name]?.[matter] !== value) this.#tell(name, webhook, alert, matter, value);
    }
  }

  /** Forgets what was sent about a connection that no longer exists. */
  forget(connection: string): void {
    this.#again.delete(connection);
    for (const [name, told] of Object.entries(this.#told))
      for (const matter of Object.keys(told))
        if (connectionOf(matter) === connection) this.#remember(name, matter, null);
  }

  #tell(name: string, webhook: Webhook, alert: Alert, matter: string, value: string | null): void {
    const key = `${name} ${matter}`;
    if (this.#sending.has(key)) return;
    if (alert.event !== "test" && !webhook.events.includes(alert.event)) return this.#remember(name, matter, value);
    this.#sending.add(key);
    void deliver(webhook, alert, this.#signal)
      .then(
        () => this.#remember(name, matter, value),
        (thrown: unknown) => {
          if (this.#signal.aborted) return;
          this.#log.warn(
            `the alert "${alert.event}" of ${alert.connection} could not be sent to ${name}: ${reason(thrown)}`,
          );
          // It counts as sent: it is sent again when it changes, not at each look.
          this.#remember(name, matter, value);
        },
      )
      .finally(() => {
        this.#sending.delete(key);
        if (!this.#signal.aborted) this.#again.get(alert.connection)?.();
      });
  }

  #remember(name: string, matter: string, value: string | null): void {
    const { [matter]: before, ...others } = this.#told[name] ?? {};
    if ((before ?? null) === value) return;
    this.#told = { ...this.#told, [name]: value === null ? others : { ...others, [matter]: value } };
    this.#save(this.#told);
  }
}

/** The key of an alert: `event:connection`, perhaps with a table, or `happened:event:connection`. */
function connectionOf(matter: string): string | undefined {
  return matter.split(":")[matter.startsWith("happened:") ? 2 : 1];
}

/** Whether it is followed and no table fails. */
function isFollowing({ state }: ConnectionReport): boolean {
  return state === "following" || state === "late";
}

/** The alert about the newest changes of a schema; `changes`: newest first. `null`: there were none. */
export function schemaChanged(connection: string, [newest, ...older]: readonly SchemaChange[]): Alert | null {
  if (newest === undefined) return null;
  const { at, table, change } = newest;
  const more = older.filter((one) => one.at === at).length;
  const message = `${connection}: "${table}": ${change}${more === 0 ? "" : `, and ${more} more changes`}.`;
  return { event: "schema change", connection, at, message, hint: null, code: null };
}

export function streamLost(connection: string, table: string, reason: string, at: string): Alert {
  return {
    event: "stream lost",
    connection,
    at,
    message: `${connection}: "${table}" is read whole, since its stream was lost: ${reason}.`,
    hint: "The copy stays readable meanwhile. Check what happened to the slot, and whether it keeps enough of the log.",
    code: null,
  };
}

function recovered(connection: string, at: string): Alert {
  return {
    event: "recovered",
    connection,
    at,
    message: `${connection}: its syncs succeed again.`,
    hint: null,
    code: null,
  };
}

export function testAlert(): Alert {
  const message = "This is a test: alerts of Headwaters reach you here.";
  return { event: "test", connection: "", at: new Date().toISOString(), message, hint: null, code: null };
}

/** Sends an alert, with retries. */
export async function deliver(webhook: Webhook, alert: Alert, signal: AbortSignal, tries = attempts): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await post(webhook, bodyOf(webhook, alert), signal);
    } catch (thrown) {
      if (attempt >= tries || signal.aborted) throw thrown;
      await sleep(backoff(attempt + 1), signal);
    }
  }
}

/** The header of the signature: the moment, and the HMAC-SHA256 of the moment, a dot and the body. */
function signature(secret: string, body: string, seconds: number): string {
  const digest = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${digest}`;
}

async function post({ url, secret }: Webhook, body: string, signal: AbortSignal): Promise<void> {
  const signed =
    secret === null ? {} : { "Headwaters-Signature": signature(secret, body, Math.floor(Date.now() / 1_000)) };
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "User-Agent": "headwaters", ...signed },
    body,
    // No other address may get what is signed for this one.
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(mostAnswer)]),
  }).catch((thrown: unknown) => {
    // The address may be a secret, and is not repeated.
    throw new Error(reason(thrown), { cause: thrown });
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answered with status ${response.status}`);
}

/** The body: ours, or the template with the fields in double braces filled in, as text within its JSON. */
export function bodyOf({ template }: Pick<Webhook, "template">, alert: Alert): string {
  if (template === null) return JSON.stringify(alert);
  return template.replaceAll(/\{\{(\w+)\}\}/g, (whole, field: string) => {
    if (!Object.hasOwn(alert, field)) return whole;
    return JSON.stringify(alert[field as keyof Alert] ?? "").slice(1, -1);
  });
}

function reason(thrown: unknown): string {
  const { cause } = thrown as { readonly cause?: { readonly code?: string } };
  return cause?.code ?? (thrown instanceof Error ? thrown.message : String(thrown));
}
