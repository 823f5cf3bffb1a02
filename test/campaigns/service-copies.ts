import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { runSql } from "../servers/postgresql.ts";

/** The copy of a connection of the campaign; `file`: in which DuckDB file, `null`: in PostgreSQL. */
export interface Copy {
  readonly name: string;
  readonly file: string | null;
}

type Read = (copy: Copy, sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Reads copies by clients that are not ours. */
async function reading<Result>(
  copies: readonly Copy[],
  { folder, postgresql }: { readonly folder: string; readonly postgresql: string },
  work: (read: Read) => Promise<Result>,
): Promise<Result> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const files = [...new Set(copies.flatMap(({ file }) => (file === null ? [] : [file])))];
    for (const file of files) await connection.run(`ATTACH '${join(folder, file)}' AS "${file}" (READ_ONLY)`);
    return await work(async ({ file }, sql) => {
      if (file === null) return runSql(postgresql, sql);
      await connection.run(`USE "${file}"`);
      return (await connection.runAndReadAll(sql)).getRowObjects();
    });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

interface Compared {
  readonly tables: number;
  readonly rows: number;
  readonly lost: number;
  readonly doubled: number;
  readonly other: number;
  readonly wrong: readonly string[];
}

/** Every row of every copy beside its source. */
export function compare(
  copies: readonly Copy[],
  folder: string,
  postgresql: string,
  source: string,
): Promise<Compared> {
  return reading(copies, { folder, postgresql }, async (read) => {
    let [tables, rows, lost, doubled, other] = [0, 0, 0, 0, 0];
    const wrong: string[] = [];
    for (const copy of copies) {
      for (const table of ["readings", "places"]) {
        const relation = `${copy.name}.${table}`;
        const truth = new Map(
          (await runSql(source, `SELECT id, value FROM ${relation}`)).map((row) => [row["id"], row["value"]]),
        );
        const met = new Set<unknown>();
        for (const { id, value } of await read(
          copy,
          `SELECT id, value FROM ${relation} WHERE NOT _headwaters_deleted`,
        )) {
          if (met.has(id) || !truth.has(id as number)) {
            doubled += 1;
            wrong.push(`${relation}: ${met.has(id) ? "twice" : "only in the copy"}: ${id}`);
          } else if (truth.get(id as number) !== value) {
            other += 1;
            wrong.push(`${relation}: ${id} has another value`);
          }
          met.add(id);
        }
        for (const id of truth.keys()) {
          if (met.has(id)) continue;
          lost += 1;
          wrong.push(`${relation}: missing: ${id}`);
        }
        tables += 1;
        rows += truth.size;
      }
    }
    return { tables, rows, lost, doubled, other, wrong };
  });
}

interface Histories {
  readonly runs: number;
  /** What is wrong with them. `whole`: the runs of each connection that the service says succeeded. */
  wrong(whole: ReadonlyMap<string, ReadonlySet<string>>): readonly string[];
}

/** The histories that the destinations keep. */
export function histories(copies: readonly Copy[], folder: string, postgresql: string): Promise<Histories> {
  return reading(copies, { folder, postgresql }, async (read) => {
    const stored = new Map<string, readonly Readonly<Record<string, unknown>>[]>();
    for (const copy of copies)
      stored.set(
        copy.name,
        await read(copy, `SELECT run, outcome FROM _headwaters.run_history WHERE connection = '${copy.name}'`),
      );
    return {
      runs: [...stored.values()].reduce((sum, rows) => sum + rows.length, 0),
      wrong: (whole) =>
        [...stored].flatMap(([name, rows]) => {
          const ids = new Set(rows.map(({ run }) => run));
          const missing = [...whole.get(name)!].filter((id) => !ids.has(id)).length;
          const ghosts = rows.filter(({ outcome }) => outcome === "running").length;
          return [
            ...(missing === 0 ? [] : [`${name}: its history lacks ${missing} runs that succeeded`]),
            ...(ghosts === 0 ? [] : [`${name}: its history has ${ghosts} runs that run for ever`]),
            ...(ids.size === rows.length ? [] : [`${name}: its history has a run twice`]),
          ];
        }),
    };
  });
}
