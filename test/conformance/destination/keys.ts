import assert from "node:assert/strict";
import type { Pass } from "../../../src/protocol/pass.ts";
import {
  type DestinationCheck,
  fill,
  holding,
  inOrder,
  left,
  live,
  passOf,
  rejectsWith,
  statesOf,
  syncAt,
  things,
  three,
  transact,
  upsert,
} from "./steps.ts";

export const keyChecks: readonly DestinationCheck[] = [
  {
    name: "a key that comes twice in a pass that gives each key once is KEY_DUPLICATE (case 7)",
    async run(harness) {
      const twice = [upsert(things, [1n, "a", 1], [2n, "a", 1]), upsert(things, [3n, "a", 1], [2n, "b", 1])];
      const refused = (pass: Pass, start: string): Promise<unknown> =>
        rejectsWith(
          "KEY_DUPLICATE",
          holding(harness, (warehouse, lease) =>
            transact(warehouse, lease, start, async (transaction) => {
              await transaction.open(pass);
              for (const rows of twice) await transaction.write(pass, left(pass), rows);
              await transaction.close(pass, statesOf(pass));
            }),
          ),
          "id = 2",
        );
      await refused({ ...passOf("first", "full", [things], syncAt(1)), distinct: true }, syncAt(1));
      await fill(harness, things, three);
      await refused({ ...passOf("later", "full", [things], syncAt(2)), distinct: true }, syncAt(2));
      assert.deepEqual(await live(harness, things), inOrder(three));
    },
  },
];
