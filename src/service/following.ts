import type { StreamReport } from "./api.ts";
import type { Asked } from "./messages.ts";
import type { Active, Following, Unit } from "./unit.ts";

/** How often the copies are looked at while they change, in milliseconds; sooner if one has become whole. */
const lookEach = 60_000;
const soonest = 5_000;

/** Larger tables are counted only with every tenth look. */
const smallTable = 1_000_000;
const countAllEach = 10;

export const unheard: StreamReport = { lag: null, position: null, retainedBytes: null, retainedLimit: null };

export function newFollowing(active: Active): Following {
  return { ...active, begun: true, stream: unheard, ending: false, lookedAt: 0, looks: 0, counted: new Map() };
}

/** The tables whose rows are counted with the look that is due now; `null`: no look is due. */
export function recountDue({ following, tables }: Unit, now: number): readonly string[] | null {
  if (following === null || now < following.lookedAt + soonest) return null;
  const known = new Map(tables?.map((table) => [table.table, table]));
  const isNew = following.record.tables.some(
    ({ table, asOf }) => asOf !== null && (known.get(table)?.asOf ?? null) === null,
  );
  if (!isNew && now < following.lookedAt + lookEach) return null;
  following.lookedAt = now;
  following.looks += 1;
  const countsAll = following.looks % countAllEach === 0;
  const recount: string[] = [];
  for (const { table, inserted, updated, deleted } of following.record.tables) {
    const changes = inserted + updated + deleted;
    const isLarge = (known.get(table)?.rows ?? 0) > smallTable;
    if (changes === (following.counted.get(table) ?? 0) || (isLarge && !countsAll)) continue;
    following.counted.set(table, changes);
    recount.push(table);
  }
  return isNew || recount.length > 0 ? recount : null;
}

/** A sync that would do no more than following does. */
export function isPlain({ kind, sweep = false, full = false, acceptScope = false, acceptDeletes }: Asked): boolean {
  return kind === "sync" && !sweep && !full && !acceptScope && acceptDeletes === undefined;
}
