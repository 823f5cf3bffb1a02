import type { Column } from "headwaters";
import type { Cells } from "../fixtures/warehouses/sources/tables.ts";

const column = (name: string, kind: "INT" | "LONG" | "STRING"): Column => ({ name, type: { kind }, nullable: true });

/** The copies of `sources/stream.ts`. */
export const streamPlaces = [
  { table: "players", columns: [column("id", "INT"), column("score", "LONG"), column("name", "STRING")] },
  {
    table: "moves",
    columns: [column("player", "LONG"), column("move", "LONG"), column("at", "LONG"), column("note", "STRING")],
  },
] as const;

/** What the steps of `sources/stream.ts` come to, in memory. */
export function played(steps: number): { readonly players: Iterable<Cells>; readonly moves: Iterable<Cells> } {
  const [players, moves] = [new Map<number, Cells>(), new Map<string, Cells>()];
  for (let step = 0; step < steps; step++) {
    const player = step % 11;
    players.set(player, { id: player, score: step, name: `player ${step}` });
    const other = players.get((step * 3) % 11);
    if (step % 4 === 0 && other !== undefined) players.set((step * 3) % 11, { ...other, score: -step });
    if (step % 7 === 6) players.delete((step * 5) % 11);
    const move = step % 3;
    moves.set(`${player} ${move}`, { player, move, at: step, note: step % 2 === 0 ? null : `note ${step}` });
  }
  return { players: players.values(), moves: moves.values() };
}
