import { describe, expect, test } from "vitest";
import type { Pass, PassKind } from "../../protocol/pass.ts";
import type { Column, Table, TableState } from "../../protocol/table.ts";
import { defaultSettings, type Settings } from "../connection.ts";
import { type Abilities, decide, type Decision, type Flags } from "./decide.ts";

const id: Column = { name: "id", type: { kind: "LONG" }, nullable: false };
const changed: Column = { name: "updated_at", type: { kind: "UTC_DATETIME" }, nullable: true };
const table: Table = {
  id: "t",
  columns: [id, changed],
  key: ["id"],
  identity: "1",
  cursor: "updated_at",
  version: "updated_at",
  estimatedRows: null,
  notes: [],
};
const plain: Table = { ...table, columns: [id], cursor: null, version: null };
const noon = "2026-01-02T12:00:00.000Z";
const state: TableState = {
  table,
  next: "x",
  asOf: noon,
  readAt: noon,
  scope: "s",
  sweptAt: noon,
  sweepMilliseconds: 60_000,
};
const flags: Flags = { full: false, sweep: false, acceptScope: false, acceptDeletes: false };
const capabilities = {
  passes: ["full", "window", "keys"] as const,
  independentPath: true,
  schema: "declared",
} as const;

const pass = (kind: PassKind, of: Table = table): Pass => ({
  id: "p",
  kind,
  tables: [of],
  opened: noon,
  scope: "s",
  replace: false,
  splits: [],
  next: {},
  asOf: noon,
  snapshot: null,
});

interface Case {
  table?: Table;
  scope?: string;
  state?: TableState | null;
  open?: Pass | null;
  flags?: Partial<Flags>;
  settings?: Partial<Settings>;
  fullPass?: Abilities["fullPass"];
  reread?: number;
  catchesUp?: true;
  resweep?: number;
  now?: string;
}

function decided(given: Case): Decision {
  return decide(
    given.table ?? table,
    given.scope ?? "s",
    given.state === undefined ? state : given.state,
    given.open ?? null,
    { ...flags, ...given.flags },
    { ...defaultSettings, ...given.settings },
    {
      ...capabilities,
      fullPass: given.fullPass ?? null,
      ...(given.reread === undefined ? {} : { reread: given.reread }),
      ...(given.catchesUp === undefined ? {} : { catchesUp: given.catchesUp }),
      ...(given.resweep === undefined ? {} : { resweep: given.resweep }),
    },
    new Date(given.now ?? "2026-01-02T13:00:00.000Z"),
  );
}

describe("what a sync reads of a table", () => {
  const cases: readonly [string, Case, Partial<Decision>][] = [
    ["nothing stored", { state: null }, { passes: ["full"], replace: false }],
    ["a cursor", {}, { passes: ["window"] }],
    ["no cursor", { table: plain, state: { ...state, table: plain } }, { passes: ["full"] }],
    [
      "no cursor but a version",
      { table: { ...table, cursor: null }, state: { ...state, table: { ...table, cursor: null }, next: null } },
      { passes: ["keys"] },
    ],
    ["asked for everything", { flags: { full: true } }, { passes: ["full"] }],
    ["asked for a sweep", { flags: { sweep: true } }, { passes: ["window", "keys"] }],
    ["a sweep that is cheap", { state: { ...state, sweepMilliseconds: 900 } }, { passes: ["window", "keys"] }],
    [
      "(case 57) a sweep of few rows that was never measured",
      { table: { ...table, estimatedRows: 2_000 }, state: { ...state, sweepMilliseconds: null } },
      { passes: ["window", "keys"] },
    ],
    [
      "a sweep of many rows that was never measured",
      { table: { ...table, estimatedRows: 2_000_000 }, state: { ...state, sweepMilliseconds: null } },
      { passes: ["window"] },
    ],
    ["the last sweep a day ago", { now: "2026-01-03T12:00:00.000Z" }, { passes: ["window", "keys"] }],
    ["deletes never", { settings: { deletes: "never" }, now: "2026-02-03T12:00:00.000Z" }, { passes: ["window"] }],
    [
      "deletes never, and a cursor that does not show every change",
      {
        ...{ table: { ...table, version: "v" }, state: { ...state, table: { ...table, version: "v" } } },
        ...{ settings: { deletes: "never" }, now: "2026-01-03T12:00:00.000Z" },
      },
      { passes: ["window", "keys"] },
    ],
    ["a week after the last full pass", { now: "2026-01-09T12:00:00.000Z", reread: 604_800_000 }, { passes: ["full"] }],
    [
      "a week after, and never to be read again",
      { now: "2026-01-09T12:00:00.000Z", reread: 604_800_000, settings: { reread: "never" } },
      { passes: ["window", "keys"] },
    ],
    ["an interval after the last full pass", { settings: { reread: 3_600_000 } }, { passes: ["full"] }],
    ["deletes with each sync", { settings: { deletes: "each_sync" } }, { passes: ["window", "keys"] }],
    ["an interval not over", { settings: { deletes: 7_200_000 } }, { passes: ["window"] }],
    ["an interval over", { settings: { deletes: 3_600_000 } }, { passes: ["window", "keys"] }],
    [
      "no key",
      { table: { ...table, key: [] }, state: { ...state, table: { ...table, key: [] } }, flags: { sweep: true } },
      { passes: ["window"] },
    ],
    ["another table under the name", { table: { ...table, identity: "2" } }, { passes: ["full"], replace: false }],
    ["another key", { table: { ...table, key: ["updated_at"] } }, { passes: ["full"], replace: true }],
    ["a new column", { state: { ...state, table: { ...table, columns: [id] } } }, { passes: ["full"], replace: false }],
    [
      "another type",
      { state: { ...state, table: { ...table, columns: [{ ...id, type: { kind: "INT" } }, changed] } } },
      { passes: ["full"] },
    ],
    ["a column less", { table: { ...table, columns: [id], cursor: "updated_at" } }, { passes: ["window"] }],
    ["another cursor", { table: { ...table, cursor: "id" } }, { passes: ["full"] }],
    ["another scope, agreed to", { scope: "z", flags: { acceptScope: true } }, { passes: ["full"], replace: false }],
  ];
  test.each(cases)("%s", (_, given, expected) => {
    expect(decided(given)).toMatchObject(expected);
  });

  const open: readonly [string, Case, Partial<Decision>][] = [
    ["a first pass", { state: null, open: pass("full") }, { resume: pass("full"), passes: ["window", "keys"] }],
    [
      "a full pass without a cursor",
      { table: plain, state: null, open: pass("full", plain) },
      { resume: pass("full", plain), passes: ["full"] },
    ],
    ["a window", { open: pass("window") }, { resume: pass("window"), passes: ["window"] }],
    [
      "a sweep, not twice",
      { open: pass("keys"), now: "2026-01-03T13:00:00.000Z" },
      { resume: pass("keys"), passes: ["window"] },
    ],
  ];
  test.each(open)("goes on with %s, then reads what is newer", (_, given, expected) => {
    expect(decided(given)).toMatchObject({ ...expected, abandon: null });
  });

  const abandoned: readonly [string, Case][] = [
    ["its table was altered", { open: pass("full", { ...table, columns: [id] }) }],
    ["its table is another", { open: pass("full", { ...table, identity: "0" }) }],
    ["everything is read anew", { open: pass("window"), flags: { full: true } }],
    ["the copy needs a full pass", { open: pass("window"), state: { ...state, table: { ...table, columns: [id] } } }],
  ];
  test.each(abandoned)("lets an open pass go where %s", (_, given) => {
    expect(decided(given)).toMatchObject({ resume: null, abandon: given.open });
  });

  const [settles, replaces] = ["settles", "replaces"] as const;
  const blind: readonly [string, Case, Partial<Decision>][] = [
    ["a cursor", { fullPass: settles }, { passes: ["window"] }],
    [
      "a full pass that is cheap",
      { fullPass: settles, state: { ...state, sweepMilliseconds: 900 } },
      { passes: ["full"] },
    ],
    [
      "one that writes every row",
      { fullPass: replaces, state: { ...state, sweepMilliseconds: 900 } },
      { passes: ["window"] },
    ],
    ["the last one six days ago", { fullPass: replaces, now: "2026-01-08T12:00:00.000Z" }, { passes: ["window"] }],
    ["the last one a week ago", { fullPass: replaces, now: "2026-01-09T12:00:00.000Z" }, { passes: ["full"] }],
    [
      "deletes never",
      { fullPass: replaces, settings: { deletes: "never" }, now: "2026-02-03T12:00:00.000Z" },
      { passes: ["window"] },
    ],
    [
      "deletes never, and a cursor that does not show every change",
      {
        ...{ table: { ...table, version: "v" }, state: { ...state, table: { ...table, version: "v" } } },
        ...{ fullPass: replaces, settings: { deletes: "never" }, now: "2026-02-03T12:00:00.000Z" },
      },
      { passes: ["window"] },
    ],
    [
      "an interval over",
      { fullPass: replaces, settings: { deletes: 3_600_000 }, open: pass("window") },
      { abandon: pass("window"), passes: ["full"] },
    ],
    [
      "a version, which no sweep can use",
      {
        fullPass: settles,
        table: { ...table, cursor: null },
        state: { ...state, table: { ...table, cursor: null }, next: null },
      },
      { passes: ["full"] },
    ],
    [
      "a full pass that is gone on with",
      { fullPass: replaces, state: null, open: pass("full") },
      { resume: pass("full"), passes: ["window"] },
    ],
    [
      "one without a cursor",
      { fullPass: replaces, table: plain, state: null, open: pass("full", plain) },
      { resume: pass("full", plain), passes: [] },
    ],
  ];
  test.each(blind)("of a copy that can't be read: %s", (_, given, expected) => {
    expect(decided(given)).toMatchObject(expected);
  });

  test("another scope is refused until the user agrees", () => {
    expect(() => decided({ scope: "z" })).toThrow(expect.objectContaining({ code: "SCOPE_CHANGED" }));
    expect(() => decided({ scope: "z", state: null, open: pass("full") })).toThrow(
      expect.objectContaining({ code: "SCOPE_CHANGED" }),
    );
  });

  test("block_all refuses a change, and names it", () => {
    const settings = { schemaChanges: "block_all" } as const;
    const wider = {
      ...table,
      columns: [...table.columns, { name: "extra", type: { kind: "INT" }, nullable: true } as const],
    };
    expect(() => decided({ table: wider, settings })).toThrow(
      expect.objectContaining({ code: "SCHEMA_CHANGE_BLOCKED", message: expect.stringContaining('"extra"') }),
    );
    expect(decided({ settings }).passes).toEqual(["window"]);
  });
});

describe("a table with a stream", () => {
  const streamed: Table = { ...plain, streamed: true };
  const of = { table: streamed, state: { ...state, table: streamed } };

  test.each<[string, Case, readonly PassKind[]]>([
    ["nothing is stored", { table: streamed, state: null }, ["full", "stream"]],
    ["a copy", of, ["stream"]],
    ["a copy that was made by a cursor", { table: { ...table, streamed: true } }, ["stream"]],
    ["another identity", { ...of, table: { ...streamed, identity: "2" } }, ["full", "stream"]],
    ["a sweep is asked for", { ...of, flags: { sweep: true } }, ["full", "stream"]],
    ["a sweep is asked for, and shows nothing", { ...of, catchesUp: true, flags: { sweep: true } }, ["full", "stream"]],
    [
      "a sweep is asked for, and shows every change",
      { table: { ...table, streamed: true }, catchesUp: true, flags: { sweep: true } },
      ["window", "keys", "stream"],
    ],
    [
      "a sweep is asked for, and shows every change without a cursor",
      {
        table: { ...table, cursor: null, streamed: true },
        state: { ...state, table: { ...table, cursor: null } },
        catchesUp: true,
        flags: { sweep: true },
      },
      ["keys", "stream"],
    ],
    ["a week has passed", { ...of, now: "2026-01-09T12:00:00.000Z" }, ["full", "stream"]],
    ["deletes are to be looked for each time", { ...of, settings: { deletes: "each_sync" } }, ["stream"]],
    ["rereading is turned off", { ...of, now: "2026-01-09T12:00:00.000Z", settings: { reread: "never" } }, ["stream"]],
    ["Fivetran", { ...of, fullPass: "settles" }, ["stream"]],
  ])("%s", (_, given, passes) => {
    expect(decided(given)).toMatchObject({ resume: null, passes });
  });

  const day = 24 * 60 * 60 * 1_000;
  const swept: Table = { ...plain, version: "updated_at", streamed: true };
  const misses = { table: swept, state: { ...state, table: swept }, catchesUp: true, resweep: day } as const;

  test.each<[string, Case, readonly PassKind[]]>([
    ["a copy that was swept", misses, ["stream"]],
    ["a day has passed", { ...misses, now: "2026-01-03T12:30:00.000Z" }, ["keys", "stream"]],
    ["an hour is enough", { ...misses, settings: { deletes: 60 * 60 * 1_000 } }, ["keys", "stream"]],
    ["each sync reads the stream", { ...misses, settings: { deletes: "each_sync" } }, ["stream"]],
    [
      "sweeps are turned off",
      { ...misses, now: "2026-01-03T12:30:00.000Z", settings: { deletes: "never" } },
      ["stream"],
    ],
    ["Fivetran, where no sweep is made", { ...misses, fullPass: "settles" }, ["full"]],
  ])("a stream that misses rows that expire: %s", (_, given, passes) => {
    expect(decided(given)).toMatchObject({ resume: null, passes });
  });

  test("a full pass goes on, and the stream follows; any other pass is planned again", () => {
    const [full, stream] = [pass("full", streamed), pass("stream", streamed)];
    expect(decided({ ...of, open: full })).toMatchObject({ resume: full, abandon: null, passes: ["stream"] });
    expect(decided({ ...of, open: stream })).toMatchObject({ resume: null, abandon: stream, passes: ["stream"] });
    expect(decided({ open: pass("stream") })).toMatchObject({ resume: null, passes: ["window"] });
  });
});
