import { setTimeout as wait } from "node:timers/promises";
import type { Front } from "../servers/front.ts";
import type { Random } from "./random.ts";

/** What a fault may reach. */
interface Struck {
  readonly random: Random;
  /** What the connections to the source go through, and what restarts it. */
  readonly source: Side;
  /** Likewise of the destination, if it is a server. */
  readonly destination: Side | null;
  kill(signal: NodeJS.Signals): void;
  /** Runs another sync into the same copy. */
  rival(): Promise<void>;
}

interface Side {
  readonly front: Front;
  restart(random: Random): Promise<void>;
}

export interface Strike {
  readonly name: string;
  /** It ends the sync. */
  readonly kills: boolean;
  /** How often it comes, beside the others. */
  readonly weight: number;
  strike(struck: Struck): Promise<void> | void;
}

/** Longer than the settings of the campaign let a server be silent, in milliseconds. */
const silence = 5_000;

const kill = (signal: NodeJS.Signals, weight: number): Strike => ({
  ...{ name: signal, kills: true, weight },
  strike: ({ kill }) => kill(signal),
});

/** What may happen to a server and to the connections with it. */
const sides = (side: "source" | "destination", of: (struck: Struck) => Side | null): Strike[] => {
  const fault = (
    what: string,
    weight: number,
    strike: (side: Side, random: Random) => Promise<void> | void,
  ): Strike => ({
    ...{ name: `${side}: ${what}`, kills: false, weight },
    async strike(struck) {
      const reached = of(struck);
      if (reached !== null) await strike(reached, struck.random);
    },
  });
  const lasting = (what: "silent" | "drip") =>
    fault(what, 1, async ({ front }) => {
      front.break(what);
      await wait(silence);
      front.heal();
    });
  return [
    fault("restart", 2, (reached, random) => reached.restart(random)),
    fault("cut", 2, ({ front }) => front.break("cut")),
    fault("reset", 2, ({ front }) => front.break("reset")),
    fault("forget", 1, ({ front }) => front.break("forget")),
    fault("freeze", 1, ({ front }) => front.break("freeze")),
    lasting("silent"),
    lasting("drip"),
    fault("away", 2, async ({ front }, random) => {
      await front.stop();
      await wait(random.below(2_000));
      await front.start();
    }),
  ];
};

const strikes: readonly Strike[] = [
  ...[kill("SIGKILL", 10), kill("SIGTERM", 3), kill("SIGINT", 2)],
  { name: "another sync", kills: false, weight: 2, strike: ({ rival }) => rival() },
  ...sides("source", ({ source }) => source),
  ...sides("destination", ({ destination }) => destination),
];

/** One of all kinds that reach something. */
export function strikeOf(random: Random, hasServer: boolean): Strike {
  const able = strikes.filter(({ name }) => hasServer || !name.startsWith("destination"));
  let left = random.below(able.reduce((sum, { weight }) => sum + weight, 0));
  return able.find(({ weight }) => (left -= weight) < 0)!;
}
