import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConnectionReport, Run } from "./api.ts";
import { Alerts, bodyOf, deliver, mattersOf, testAlert } from "./alerts.ts";
import { alertKinds, type Webhook } from "./settings.ts";

const run: Run = {
  id: "r",
  connection: "shop",
  kind: "sync",
  trigger: "schedule",
  started: "2026-01-01T00:00:00Z",
  ended: "2026-01-01T00:01:00Z",
  outcome: "succeeded",
  milliseconds: 1,
  tables: { whole: 1, failed: 0, stopped: 0 },
  rowsRead: 0,
  bytesRead: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  asOf: null,
  verdict: null,
  error: null,
};
const error = { code: "LOGIN_FAILED", message: "refused", hint: "Check it.", remedy: "reconfigure" } as const;
const failing: Run = { ...run, outcome: "failed", error };

function report(more: Partial<ConnectionReport> = {}): ConnectionReport {
  return {
    name: "shop",
    source: { type: "postgresql", title: "PostgreSQL" },
    destination: { type: "duckdb", title: "DuckDB", place: "/w.duckdb" },
    state: "ok",
    says: "up to date",
    error: null,
    failures: 0,
    paused: false,
    schedule: null,
    verifySchedule: null,
    nextRun: null,
    nextVerify: null,
    asOf: null,
    freshness: null,
    rows: 1,
    tables: 1,
    running: null,
    stream: null,
    lastRun: run,
    lastProof: null,
    held: [],
    ...more,
  };
}

const noon = "2026-01-01T12:00:00Z";

/** Three hours old at noon, where one is allowed. */
function old(more: Partial<ConnectionReport> = {}): ConnectionReport {
  return report({ freshness: 3_600_000, asOf: "2026-01-01T09:00:00Z", ...more });
}

function streamOf(retainedBytes: number, retainedLimit: number | null): ConnectionReport["stream"] {
  return { lag: 0, position: "0/1", retainedBytes, retainedLimit };
}

const failed = (failures: number): ConnectionReport => report({ state: "problem", failures, lastRun: failing, error });

test.each([
  [report(), 1, []],
  [failed(1), 1, ["failed"]],
  [failed(2), 3, []],
  [failed(3), 3, ["failed"]],
  [report({ state: "late" }), 1, ["stale"]],
  [report({ lastProof: { ...run, kind: "verify", verdict: "DIVERGED" } }), 1, ["diverged"]],
  [report({ held: [{ table: "t", gone: 3, of: 4 }] }), 1, ["delete limit"]],
  // While it is followed, how the run before ended does not count.
  [report({ state: "following", failures: 2, lastRun: failing, stream: streamOf(10, 100) }), 1, []],
  [report({ state: "problem", error, stream: streamOf(10, 100) }), 1, ["failed"]],
  [report({ state: "waiting", error, stream: streamOf(10, 100) }), 1, []],
  [report({ state: "following", stream: streamOf(90, 100) }), 1, ["log retained"]],
  [report({ state: "following", stream: streamOf(90, null) }), 1, []],
  // Whatever else its connection is at.
  [old({ state: "paused", paused: true }), 1, ["stale"]],
  [old({ state: "running" }), 1, ["stale"]],
  [old({ state: "problem", failures: 1, lastRun: failing, error }), 3, ["stale"]],
  [old({ asOf: "2026-01-01T11:30:00Z" }), 1, []],
  [old({ asOf: null, state: "never" }), 1, []],
])("%#: what is to be told", (connection, after, events) => {
  expect(mattersOf(connection, after, noon).map(({ alert }) => alert.event)).toEqual(events);
});

describe("a webhook", () => {
  const received: { readonly body: string; readonly headers: IncomingMessage["headers"] }[] = [];
  let statuses: number[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      received.push({ body, headers: request.headers });
      response.writeHead(statuses.shift() ?? 200, { Location: "http://127.0.0.1:1/" }).end();
    });
  });
  let webhook: Webhook;
  const log = { debug: () => {}, info: () => {}, warn: vi.fn<(message: string) => void>() };

  beforeEach(async () => {
    received.length = 0;
    statuses = [];
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    webhook = { url, secret: "a-secret-of-16-letters", events: [...alertKinds], after: 1, template: null };
  });
  afterEach(() => new Promise((resolve) => void server.close(resolve)));

  const events = (): string[] => received.map(({ body }) => (JSON.parse(body) as { event: string }).event);

  test("is told of each matter once until it changes, also by a process that comes after", async () => {
    let told = {};
    const { signal } = new AbortController();
    const open = (): Alerts => new Alerts(log, signal, told, (now) => (told = now));
    const alerts = open();
    const look = async (with_: Alerts, connection: ConnectionReport, count: number): Promise<void> => {
      with_.look({ ops: webhook }, connection);
      await vi.waitFor(() => expect(received).toHaveLength(count));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(received).toHaveLength(count);
    };
    await look(alerts, failed(1), 1);
    await look(alerts, failed(2), 1);
    await look(open(), failed(3), 1);
    const later = open();
    await look(later, report({ state: "running", failures: 3, lastRun: failing }), 1);
    await look(later, report(), 2);
    await look(later, report(), 2);
    await look(later, failed(1), 3);
    await look(later, report({ state: "late", lastRun: run }), 5);
    await look(later, report({ state: "late", lastRun: run }), 5);
    expect(events().sort()).toEqual(["failed", "failed", "recovered", "recovered", "stale"]);
  });

  test("is told after the alert that is on its way, if it is over by then", async () => {
    const alerts = new Alerts(log, new AbortController().signal, {}, () => {});
    alerts.look({ ops: webhook }, failed(1));
    alerts.look({ ops: webhook }, report());
    await vi.waitFor(() => expect(events()).toEqual(["failed", "recovered"]));
  });

  test("is told of what has happened once, whatever is looked at meanwhile (case 7)", async () => {
    const alerts = new Alerts(log, new AbortController().signal, {}, () => {});
    const change = { ...testAlert(), event: "schema change", connection: "shop" } as const;
    const held = report({ held: [{ table: "orders", gone: 3, of: 4 }] });
    for (let times = 0; times < 3; times++) {
      alerts.happened({ ops: webhook }, change, "2026-01-01T00:00:00Z");
      alerts.look({ ops: webhook }, held);
      await vi.waitFor(() => expect(received.length).toBeGreaterThanOrEqual(2));
      // A connection that has the name of the table.
      alerts.look({ ops: webhook }, report({ name: "orders" }));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(events().sort()).toEqual(["delete limit", "schema change"]);
    alerts.happened({ ops: webhook }, change, "2026-01-02T00:00:00Z");
    await vi.waitFor(() => expect(received).toHaveLength(3));
  });

  test("gets a signature over moment and body", async () => {
    await deliver(webhook, testAlert(), new AbortController().signal, 1);
    const [{ body, headers }] = received as [(typeof received)[number]];
    const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["headwaters-signature"]))!;
    expect(Math.abs(Number(seconds) - Date.now() / 1_000)).toBeLessThan(5);
    expect(digest).toBe(createHmac("sha256", webhook.secret!).update(`${seconds}.${body}`).digest("hex"));
  });

  test("is tried again, and is not followed elsewhere", { timeout: 20_000 }, async () => {
    statuses = [500, 200];
    await deliver(webhook, testAlert(), new AbortController().signal);
    expect(received).toHaveLength(2);
    statuses = [307];
    await expect(deliver(webhook, testAlert(), new AbortController().signal, 1)).rejects.toThrow();
    expect(received).toHaveLength(3);
  });

  test("gets only what it asked for", async () => {
    const alerts = new Alerts(log, new AbortController().signal, {}, () => {});
    alerts.look({ ops: { ...webhook, events: ["stale"] } }, failed(1));
    alerts.look({ ops: { ...webhook, events: ["stale"] } }, report({ state: "late" }));
    await vi.waitFor(() => expect(events()).toEqual(["stale"]));
  });
});

test("a template is filled in as text within its JSON", () => {
  const alert = { ...testAlert(), message: 'says "no"\nand more', hint: null };
  const body = bodyOf({ template: '{"text": "{{message}}", "hint": "{{hint}}", "other": "{{nothing}}"}' }, alert);
  expect(JSON.parse(body)).toEqual({ text: alert.message, hint: "", other: "{{nothing}}" });
});
