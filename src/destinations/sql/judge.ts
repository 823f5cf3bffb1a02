import type { Comparison, Difference, Differences } from "../../protocol/readable.ts";
import type { Table } from "../../protocol/table.ts";
import type { Type } from "../../protocol/types.ts";
import { cell } from "../../toolkit/vectors.ts";
import type { Session } from "./dialect.ts";

export type Explain = Parameters<Comparison["differences"]>[1];

type Kind = Exclude<Difference["kind"], "repeated">;

const kinds: readonly Kind[] = ["missing", "extra", "different"];

/** All differences, judged. */
interface Judged extends Pick<Differences, Kind | "explanations" | "unexplained"> {
  /** The places of those to show: the unexplained ones first, up to a limit of each kind. */
  readonly places: readonly number[];
}

const columns = { kind: "STRING", n: "LONG", spot: "LONG", source: "STRING", copy: "STRING" } as const;

/**
 * Judges every difference in the table `found`, and not only those that are shown: one without an explanation may stand
 * behind thousands that have one. `versions`: the columns with the version as text on both sides, if there are any.
 */
export async function judge(
  session: Session,
  table: Table,
  found: string,
  versions: readonly [source: string, copy: string] | null,
  limit: number,
  explain: Explain,
): Promise<Judged> {
  const [source, copy] = versions ?? ["NULL", "NULL"];
  const query = `SELECT kind, n, spot, CAST(${source} AS text) AS source, CAST(${copy} AS text) AS copy FROM ${found}`;
  const fetched = Object.entries(columns).map(([name, kind]) => {
    const type: Type = { kind };
    return { name, sql: name, stored: type, type };
  });
  const counts = { missing: 0, extra: 0, different: 0 };
  const explanations = new Set<string>();
  const unexplained = new FirstPlaces(limit);
  const explained = new FirstPlaces(limit);
  let without = 0;
  for await (const { values, length } of session.pages(table, query, fetched)) {
    for (let row = 0; row < length; row++) {
      const [kind, n, place, of, onto] = values.map((vector) => cell(vector, row)) as [
        Kind,
        bigint,
        bigint,
        string | null,
        string | null,
      ];
      const version = { source: kind === "extra" ? null : of, copy: kind === "missing" ? null : onto };
      const explanation = explain({ kind, version });
      counts[kind] += Number(n);
      if (explanation === null) without += Number(n);
      else explanations.add(explanation);
      (explanation === null ? unexplained : explained).add(kind, Number(place));
    }
  }
  const places = [
    ...kinds.flatMap((kind) => unexplained.of(kind)),
    ...kinds.flatMap((kind) => explained.of(kind).slice(0, limit - unexplained.of(kind).length)),
  ];
  return { ...counts, explanations: [...explanations], unexplained: without, places };
}

/** The first places of each kind. */
class FirstPlaces {
  readonly #limit: number;
  readonly #places: Readonly<Record<Kind, number[]>> = { missing: [], extra: [], different: [] };

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(kind: Kind, place: number): void {
    const known = this.#places[kind];
    if (known.length >= this.#limit && place > (known.at(-1) ?? 0)) return;
    known.push(place);
    known.sort((a, b) => a - b);
    known.splice(this.#limit);
  }

  of(kind: Kind): readonly number[] {
    return this.#places[kind];
  }
}
