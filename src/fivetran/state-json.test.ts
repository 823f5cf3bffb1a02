import { expect, test } from "vitest";
import { stateJson } from "../engine/state-document.ts";
import type { Pass } from "../protocol/pass.ts";
import { type FivetranState, parseState, stateText } from "./state-json.ts";

const rethinkdb = { name: "rethinkdb" };

const pass: Pass = {
  ...{ id: "p", kind: "full", tables: [], splits: [], next: {}, snapshot: null, scope: "", replace: false },
  asOf: "2026-01-01T00:00:00.000Z",
  opened: "2026-01-01T00:00:00.000Z",
};

const state: FivetranState = {
  document: { version: 1, source: "rethinkdb", tables: {}, passes: [pass], progress: [] },
  notes: new Map([["t", { rows: 3, tooMany: false, memory: { signature: '"id" LONG', keys: "AAAA", digests: "" } }]]),
  truncated: ["p t"],
  columns: { t: 'only ["id"]' },
};

test("comes back as it was sent", () => {
  expect(parseState(stateText(state), rethinkdb)).toEqual(state);
});

test.each(["", " ", "{}"])("nothing was synced yet: %j", (text) => {
  expect(parseState(text, rethinkdb)).toEqual({
    document: { version: 1, source: "rethinkdb", tables: {}, passes: [], progress: [] },
    notes: new Map(),
    truncated: [],
    columns: {},
  });
});

test.each([
  ["a list", "[]"],
  [
    "a fivetran part that is none",
    '{"version":1,"source":"rethinkdb","tables":{},"passes":[],"progress":[],"fivetran":[]}',
  ],
  [
    "rows that are no number",
    JSON.stringify({
      ...stateJson(state.document),
      fivetran: { tables: { t: { rows: "3" } }, truncated: [], columns: {} },
    }),
  ],
])("%s is a damaged state, not a fresh start (case 46)", (_, text) => {
  expect(() => parseState(text, rethinkdb)).toThrow(expect.objectContaining({ code: "STATE_INVALID" }));
});

test("open passes of another way of running are left behind", () => {
  const exported = JSON.stringify(stateJson(state.document));
  expect(parseState(exported, rethinkdb)).toMatchObject({ document: { passes: [] }, truncated: [] });
});

test("what can't be carried is refused before it is sent", () => {
  const splits = Array.from({ length: 40_000 }, (_, id) => ({ id: String(id), tables: ["t"], work: "x".repeat(80) }));
  const large = { ...state, document: { ...state.document, passes: [{ ...pass, splits }] } };
  expect(() => stateText(large)).toThrow(expect.objectContaining({ code: "STATE_INVALID" }));
});
