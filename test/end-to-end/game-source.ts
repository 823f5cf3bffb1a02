import { defineSource, z } from "headwaters";

/** A whole number that a step's number decides, below `limit`. */
function drawn(step: number, salt: number, limit: number): number {
  let mixed = Math.imul(step + 1, 0x9e3779b1) ^ Math.imul(salt + 1, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return ((mixed ^ (mixed >>> 13)) >>> 0) % limit;
}

/** Plays so many steps over two tables, the same ones each time; its state is how many it has played. */
export default defineSource({
  name: "game",
  configuration: z.object({ steps: z.number() }),
  state: z.object({ step: z.number().default(0) }),
  schema: {
    players: { key: ["id"], columns: { id: "INT", score: "LONG", name: "STRING" } },
    moves: { key: ["player", "move"] },
  },
  async *update({ configuration: { steps }, state, upsert, update, remove, truncate, checkpoint }) {
    for (let step = state.step; step < steps; step++) {
      const player = drawn(step, 1, 4_000);
      const move = drawn(step, 2, 5);
      const what = drawn(step, 3, 100);
      if (what < 40) yield upsert("players", { id: player, score: step, name: `player ${step}` });
      else if (what < 60) yield update("players", { id: player, score: step });
      else if (what < 70) yield remove("players", { id: player });
      else if (what < 90) yield upsert("moves", { player, move, at: step, ...(what < 72 ? { note: `n${step}` } : {}) });
      else if (what < 94) yield update("moves", { player, move, note: step });
      else if (what < 99) yield remove("moves", { player, move });
      else if (drawn(step, 4, 20) === 0) yield truncate("players");
      if (drawn(step, 5, 7) === 0) yield checkpoint({ step: step + 1 });
    }
    yield checkpoint({ step: steps });
  },
});
