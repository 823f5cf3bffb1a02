import { expect, test, vi } from "vitest";
import type { ConnectionReport, LogLine, Run, TableProgress } from "../service/api.ts";
import type { ServiceReport } from "./api.ts";
import { type Change, initial, reduce, type State, Store } from "./store.ts";

const after = (...changes: readonly Change[]): State => changes.reduce(reduce, initial);
const hello = (version: string): Change => ({ kind: "hello", version, started: "2026-01-31T09:05:00Z" });
const connection = (name: string, says: string): ConnectionReport => ({ name, says }) as ConnectionReport;
const table = (name: string, rows: number): TableProgress => ({ table: name, rows }) as TableProgress;
const line = (message: string): LogLine => ({ at: "2026-01-31T09:05:00Z", level: "info", message });
const progress = (run: string, ...tables: readonly TableProgress[]): Change => ({
  kind: "progress",
  run,
  connection: "iot",
  tables: [...tables],
});

test("connections come, change and go", () => {
  const state = after(
    { kind: "connections", connections: [connection("iot", "old"), connection("crm", "old")], before: null },
    { kind: "connection", connection: connection("iot", "new") },
    { kind: "removed", connection: "crm" },
  );
  expect([...state.connections!.values()]).toEqual([connection("iot", "new")]);
});

test("what events told while connections were asked for is newer than the answer", () => {
  const first = after({
    kind: "connections",
    connections: [connection("iot", "1"), connection("crm", "1")],
    before: null,
  });
  const meanwhile = reduce(reduce(first, { kind: "connection", connection: connection("iot", "2") }), {
    kind: "removed",
    connection: "crm",
  });
  const connections = [connection("iot", "1"), connection("crm", "1"), connection("erp", "1")];
  const state = reduce(meanwhile, { kind: "connections", connections, before: first.connections });
  expect([...state.connections!.values()].map(({ name, says }) => name + says).sort()).toEqual(["erp1", "iot2"]);
});

test("progress has the tables of one run", () => {
  const state = after(progress("1", table("a", 1), table("b", 1)), progress("1", table("a", 2)));
  expect([...state.progress.get("iot")!.tables.values()]).toEqual([table("a", 2), table("b", 1)]);
  const next = reduce(state, progress("2", table("c", 1)));
  expect([...next.progress.get("iot")!.tables.keys()]).toEqual(["c"]);
});

test("runs are kept newest first, each as it was told last, until the next hello", () => {
  const run = (id: string, outcome: Run["outcome"]): Change => ({
    kind: "run",
    run: { id, connection: "iot", outcome } as Run,
  });
  const state = after(run("a", "running"), run("a", "succeeded"), run("b", "running"), run("a", "failed"));
  expect(state.runs.get("iot")!.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual(["a failed", "b running"]);
  expect(reduce(state, hello("1")).runs.size).toBe(0);
});

test("logs keep their newest lines, of the newest runs", () => {
  let state = initial;
  for (let at = 0; at < 2_100; at++)
    state = reduce(state, { kind: "log", run: "a", connection: "iot", line: line(String(at)) });
  expect(state.logs.get("a")).toHaveLength(2_000);
  expect(state.logs.get("a")!.at(-1)).toEqual(line("2099"));
  for (let at = 0; at < 25; at++)
    state = reduce(state, { kind: "log", run: `r${at}`, connection: "iot", line: line("x") });
  expect(state.logs.size).toBe(20);
  expect(state.logs.has("a")).toBe(false);
});

test("each hello asks for everything; another version is told", () => {
  const state = after(hello("1.0.0"), { kind: "log", run: "a", connection: "iot", line: line("x") }, hello("1.0.0"));
  expect(state).toMatchObject({ hellos: 2, versions: ["1.0.0"] });
  expect(state.logs.size).toBe(0);
  expect(reduce(state, hello("1.1.0")).versions).toEqual(["1.0.0", "1.1.0"]);
});

test("an error of the file belongs to the service", () => {
  const error = { code: "CONFIGURATION_INVALID", message: "m", hint: null, remedy: "reconfigure" } as const;
  expect(after({ kind: "configuration", error }).service).toBeNull();
  const service = { configuration: null } as ServiceReport;
  expect(after({ kind: "service", service }, { kind: "configuration", error }).service?.configuration).toEqual(error);
});

test("subscribers are told once for many changes", () => {
  const scheduled: (() => void)[] = [];
  const store = new Store((tell) => scheduled.push(tell));
  const listener = vi.fn<() => void>();
  const stop = store.subscribe(listener);
  store.apply(hello("1"));
  store.apply(hello("1"));
  expect([store.state.hellos, scheduled.length, listener.mock.calls.length]).toEqual([2, 1, 0]);
  scheduled[0]!();
  expect(listener).toHaveBeenCalledTimes(1);
  stop();
  store.apply(hello("1"));
  scheduled[1]!();
  expect(listener).toHaveBeenCalledTimes(1);
});
