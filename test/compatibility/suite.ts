import { join } from "node:path";
import { expect, test } from "vitest";
import { declared, inferred, stream, type Told } from "../fixtures/warehouses/connections.ts";
import type { JournalLine } from "../fixtures/warehouses/sources/static.ts";
import { declaredTables, inferredTables, type StaticTable } from "../fixtures/warehouses/sources/tables.ts";
import type { Ended } from "../end-to-end/program.ts";
import { journalOf } from "./journal.ts";
import { copyOf, fixture, type Found, live, type Place, type Restore, type Restored } from "./restored.ts";
import { played, streamPlaces } from "./stream-rows.ts";
import { expectedRows, type Texts } from "./values.ts";

const slow = { timeout: 240_000 };

/** The phase of the source when the fixture was made. */
const [made, later] = [3, 4];

/** Runs the program, which must succeed. */
export async function run({ place }: Restored, ...arguments_: readonly string[]): Promise<Ended> {
  const ended = await place.start(arguments_);
  expect(ended.code, `${arguments_.join(" ")}\n${ended.stdout}\n${ended.stderr}`).toBe(0);
  return ended;
}

/** Writes the one connection that the next commands are for. */
export async function configure(restored: Restored, name: string, settings: object): Promise<void> {
  const connections = { [name]: { ...settings, ...restored.settings } };
  await restored.place.write("headwaters.yaml", { connections });
}

/** What `status` or another command says as JSON of a kind. */
function said<Said>({ stdout }: Ended, kind: string): Said {
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"));
  const found = lines.map((line) => JSON.parse(line) as { kind: string }).find((line) => line.kind === kind);
  return found as Said;
}

/** Source and copy are equal, and the program proves it. */
export async function verify(restored: Restored, name: string): Promise<void> {
  expect((await run(restored, "verify", name)).stdout).toContain("CONVERGED");
}

interface Status {
  readonly tables: readonly {
    readonly table: string;
    readonly rows: number | null;
    readonly asOf: string | null;
    readonly sweptAt: string | null;
    readonly open: { readonly kind: string; readonly splits: number; readonly splitsDone: number } | null;
  }[];
  readonly runs: readonly {
    readonly outcome: string;
    readonly ended: string | null;
    readonly tables: readonly { readonly table: string; readonly error: object | null }[];
  }[];
}

interface Exported {
  readonly tables: Readonly<Record<string, { readonly asOf: string; readonly sweptAt: string }>>;
}

/** The passes that are open in the fixture. `done`: of one split it was read whole, of the next a part. */
const open: Readonly<Record<string, { readonly kind: string; readonly after: number }>> = {
  "first open": { kind: "full", after: 10 },
  "keyless open": { kind: "full", after: 10 },
  "later open": { kind: "full", after: 10 },
  "sweep open": { kind: "keys", after: 10 },
  "window open": { kind: "window", after: 11 },
  "replace open": { kind: "full", after: 10 },
  "unknown sweep": { kind: "window", after: 10 },
  killed: { kind: "full", after: 10 },
  reread: { kind: "full", after: 10 },
};

/** Passes that were opened in a phase before the last. */
const openedIn: Readonly<Record<string, number>> = { "unknown sweep": 2, reread: 2 };

function splitsOf({ id, rows }: StaticTable): number {
  return Math.ceil(Math.max(...rows(openedIn[id] ?? made).keys()) / 8);
}

/** Where the copy of a table is, and which of its columns and rows are in it. */
function placeOf(
  table: StaticTable,
  schema: string,
  prefix: string,
  phase: number,
): Place & { readonly rows: readonly Texts[] } {
  const columns = table.columns(phase);
  const rows = [...table.rows(phase).values()];
  if (table.id !== "chosen") {
    return { schema, prefix, table: table.id, columns, rows: expectedRows(columns, rows) };
  }
  const renamed = columns
    .filter(({ name }) => name !== "secret")
    .map((column) => (column.name === "old name" ? { ...column, name: "new näme" } : column));
  const chosen = rows
    .filter(({ kept }) => kept === true)
    .map((cells) => ({ ...cells, "new näme": cells["old name"]! }));
  return { schema, prefix, table: "Chosen copy", columns: renamed, rows: expectedRows(renamed, chosen) };
}

/** A connection whose rows stand in the code of its source. */
interface StaticConnection {
  readonly name: string;
  readonly schema: string;
  readonly prefix: string;
  readonly tables: readonly StaticTable[];
  readonly settings: (destination: unknown, told: Told) => object;
  /** The phase of its last sync. */
  readonly made: number;
}

const statics: readonly StaticConnection[] = [
  {
    name: "declared",
    schema: 'Ware "house" ä',
    prefix: "_headwaters",
    tables: declaredTables,
    settings: declared,
    made,
  },
  { name: "inferred", schema: "inferred", prefix: "_fivetran", tables: inferredTables, settings: inferred, made: 2 },
];

/** All copies, by table; those that a first pass has yet to fill are among them. */
async function copies(
  restored: Restored,
  { tables, schema, prefix }: StaticConnection,
  phase: number,
): Promise<ReadonlyMap<string, readonly Found[]>> {
  const found = new Map<string, readonly Found[]>();
  for (const table of tables) found.set(table.id, await copyOf(restored, placeOf(table, schema, prefix, phase)));
  return found;
}

async function expectCopies(restored: Restored, connection: StaticConnection, phase: number): Promise<void> {
  const found = await copies(restored, connection, phase);
  for (const table of connection.tables) {
    const { rows } = placeOf(table, connection.schema, connection.prefix, phase);
    expect(live(found.get(table.id)!), table.id).toEqual(rows);
  }
}

/** Rows that are equal before and after were not written again. */
function expectUntouched(before: readonly Found[], after: readonly Found[], table: string): void {
  const written = (rows: readonly Found[]): Map<string, string[]> => {
    const by = new Map<string, string[]>();
    for (const { row, deleted, synced } of rows) {
      const text = JSON.stringify({ row, deleted });
      by.set(text, [...(by.get(text) ?? []), synced].sort());
    }
    return by;
  };
  const now = written(after);
  for (const [row, synced] of written(before)) {
    const kept = now.get(row);
    if (kept !== undefined) expect(kept, `${table}: ${row}`).toEqual(expect.arrayContaining(synced));
  }
}

/** The laws that every destination's fixture must obey. */
export function warehouseSuite(restore: Restore, folder: string): void {
  for (const connection of statics) {
    const { name } = connection;

    test(`${name}: status shows every table, its open pass and the runs`, slow, async () => {
      await using restored = await restore();
      await configure(restored, name, connection.settings(restored.destination, { phase: connection.made }));
      const rows = new Map<string, number>();
      for (const { id } of connection.tables) {
        const table = connection.tables.find((candidate) => candidate.id === id)!;
        const place = placeOf(table, connection.schema, connection.prefix, made);
        const where = `${JSON.stringify(place.schema).replaceAll('\\"', '""')}.${JSON.stringify(place.table).replaceAll('\\"', '""')}`;
        const [counted] = await restored.query(
          `SELECT count(*)::VARCHAR AS n FROM ${where} WHERE NOT ${connection.prefix}_deleted`,
        );
        rows.set(id, Number(counted!["n"]));
      }
      const states = JSON.parse(await fixture(`${folder}/state-${name}.json`)) as Exported;
      const { tables, runs } = said<Status>(await run(restored, "status", name, "--json"), "status");
      const shown = connection.tables.map((table) => ({
        table: table.id,
        rows: rows.get(table.id),
        asOf: states.tables[table.id]?.asOf ?? null,
        sweptAt: states.tables[table.id]?.sweptAt ?? null,
        open:
          open[table.id] === undefined ? null : { kind: open[table.id]!.kind, splits: splitsOf(table), splitsDone: 1 },
        position: null,
        lag: null,
      }));
      expect(tables).toEqual(shown.sort((a, b) => (a.table < b.table ? -1 : 1)));
      // Its process is gone (case 30).
      const outcomes =
        name === "declared" ? ["died", "failed", "succeeded", "failed", "failed"] : ["failed", "succeeded"];
      expect(runs.map((run) => run.outcome)).toEqual(outcomes);
      if (name !== "declared") return;
      expect(runs[0]!.tables.map(({ table }) => table)).toEqual(["killed"]);
      expect(runs[0]!.ended).toBeNull();
      expect(runs[1]!.tables.map(({ error }) => error)).toContainEqual({
        code: "SOURCE_FAILED",
        message: 'table "later open": the source broke off',
        hint: null,
      });
    });

    test(`${name}: open passes go on where they were, and changes come after them`, slow, async () => {
      await using restored = await restore();
      const before = await copies(restored, connection, connection.made);
      const journal = join(restored.place.folder, "journal");
      await configure(restored, name, connection.settings(restored.destination, { phase: connection.made, journal }));
      // A fixture of today would not be swept yet, one of yesterday would.
      await run(restored, "sync", name, "--sweep");
      const lines = await journalOf<JournalLine>(journal);
      for (const table of connection.tables) {
        const was = open[table.id];
        if (was !== undefined) expectGoesOn(table, was, lines);
      }
      await expectCopies(restored, connection, connection.made);
      const after = await copies(restored, connection, connection.made);
      // A pass that replaces a copy writes every row.
      for (const [table, rows] of before) if (table !== "replace open") expectUntouched(rows, after.get(table)!, table);
      await verify(restored, name);

      await configure(restored, name, connection.settings(restored.destination, { phase: later }));
      await run(restored, "sync", name, "--sweep");
      await expectCopies(restored, connection, later);
      await verify(restored, name);
      if (name !== "declared") return;
      const deleted = async (id: string): Promise<readonly (string | null)[]> => {
        const table = connection.tables.find((candidate) => candidate.id === id)!;
        const found = await copyOf(restored, placeOf(table, connection.schema, connection.prefix, later));
        return found
          .filter((row) => row.deleted)
          .map(({ row }) => row["id"]!)
          .sort();
      };
      expect(await deleted("soft")).toEqual(["6", "7", "8"]);
      expect(await deleted("hard")).toEqual([]);
    });
  }

  test("an exported state is exported the same, and taken on", slow, async () => {
    await using restored = await restore();
    for (const connection of statics) {
      const { name } = connection;
      const told = { phase: connection.made };
      await configure(restored, name, connection.settings(restored.destination, told));
      const old = JSON.parse(await fixture(`${folder}/state-${name}.json`)) as unknown;
      expect(JSON.parse((await run(restored, "state", "export", name)).stdout)).toEqual(old);
      await restored.place.write(`${name}.json`, old);
      await run(restored, "state", "import", name, "--from", `${name}.json`, "--yes");
      expect(JSON.parse((await run(restored, "state", "export", name)).stdout)).toEqual(old);
      const journal = join(restored.place.folder, `journal-${name}`);
      await configure(restored, name, connection.settings(restored.destination, { ...told, journal }));
      await run(restored, "sync", name, "--sweep");
      const lines = await journalOf<JournalLine>(journal);
      const kinds = (table: string): readonly string[] => [
        ...new Set(lines.filter((line) => line.table === table).map(({ kind }) => kind)),
      ];
      if (name === "declared") {
        // The pass that was open is planned anew, from the same cursor.
        expect(kinds("window open")[0]).toBe("window");
        expect(kinds("window open")).not.toContain("full");
        expect(kinds("soft")).not.toContain("full");
        expect(lines.find(({ table }) => table === "later open")).toMatchObject({ kind: "full", from: null });
      } else expect(kinds("reread")[0]).toBe("full");
      await expectCopies(restored, connection, connection.made);
      await verify(restored, name);
    }
  });

  test("sources with update() go on from their states", slow, async () => {
    await using restored = await restore();
    // In one the last pass was closed; in the other it broke off.
    const connections = [
      ["stream", "stream", 30],
      ["stream-open", "stream_open", 40],
    ] as const;
    for (const [name, schema, step] of connections) {
      await configure(restored, name, stream(restored.destination, schema, { steps: step }));
      const status = said<Status>(await run(restored, "status", name, "--json"), "status");
      expect(status.tables.map(({ table }) => table)).toEqual(["moves", "players"]);
      expect(status.runs.map(({ outcome }) => outcome)).toEqual(
        name === "stream" ? ["succeeded"] : ["failed", "succeeded"],
      );
      const old = JSON.parse(await fixture(`${folder}/state-${name}.json`)) as unknown;
      expect(JSON.parse((await run(restored, "state", "export", name)).stdout)).toEqual(old);
      await expectPlayed(restored, schema, step);
      const journal = join(restored.place.folder, `journal-${name}`);
      await configure(restored, name, stream(restored.destination, schema, { steps: 60, journal }));
      await run(restored, "sync", name);
      expect(await journalOf(journal)).toEqual([{ step }]);
      await expectPlayed(restored, schema, 60);
    }
  });
}

/** The first readings of a table are those that its open pass lacked. */
function expectGoesOn(
  table: StaticTable,
  { kind, after }: { readonly kind: string; readonly after: number },
  lines: readonly JournalLine[],
): void {
  const splits = splitsOf(table) - 1;
  const first = lines.filter((line) => line.table === table.id).slice(0, splits);
  expect(new Set(first.map(({ pass }) => pass)).size, table.id).toBe(1);
  const shown = first.map(({ kind, split, from }) => ({ kind, split, from }));
  expect(shown, table.id).toEqual(
    Array.from({ length: splits }, (_, index) => ({
      kind,
      split: `${table.id}/${index + 1}`,
      from: index === 0 ? { after } : null,
    })),
  );
  expect(Math.min(...first.flatMap(({ places }) => places)), table.id).toBeGreaterThan(after);
}

async function expectPlayed(restored: Restored, schema: string, steps: number): Promise<void> {
  for (const { table, columns } of streamPlaces) {
    const found = await copyOf(restored, { schema, table, columns });
    expect(live(found), `${schema}.${table}`).toEqual(expectedRows(columns, played(steps)[table]));
  }
}
