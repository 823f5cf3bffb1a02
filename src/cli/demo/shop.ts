import type { Change } from "./scenario.ts";

export type RedisCommand = readonly (string | number)[];

/** The data of a web shop: the number of keys of each kind, and of entries in its one stream. */
export const counts = {
  sessions: 40_000,
  pages: 20_000,
  limiters: 15_000,
  customers: 20_000,
  boards: 200,
  queues: 1,
  events: 5_000,
} as const;

const cities = ["Rotterdam", "Göteborg", "Kraków", "Bilbao"];
const jobs = 2_000;
const players = 50;
const day = 86_400;

function session(number: number, cart: number): RedisCommand {
  const value = { customer: number % counts.customers, cart, locale: number % 3 === 0 ? "sv-SE" : "en-GB" };
  return ["SET", `session:${number}`, JSON.stringify(value), "EX", day];
}

/** The commands that create all data. */
export function* made(): Generator<RedisCommand> {
  for (let number = 0; number < counts.sessions; number++) yield session(number, number % 5);
  for (let number = 0; number < counts.pages; number++) {
    const text = `<h1>Page ${number}</h1><p>${"Ceci n’est pas un cache. ".repeat(1 + (number % 9))}</p>`;
    yield ["SET", `cache:page:${number}`, text, "EX", 2 * day];
  }
  for (let number = 0; number < counts.limiters; number++)
    yield ["SET", `limit:10.0.${number >> 8}.${number & 255}`, number % 60, "EX", day];
  for (let number = 0; number < counts.customers; number++) {
    yield [
      "HSET",
      `customer:${number}`,
      "name",
      `Customer ${number}`,
      "city",
      cities[number % 4]!,
      "points",
      (number * 37) % 1_000,
    ];
  }
  for (let board = 0; board < counts.boards; board++) {
    const scores = Array.from({ length: players }, (_, player) => [
      (board * 31 + player * 17) % 997,
      `player ${player}`,
    ]);
    yield ["ZADD", `leaderboard:${board}`, ...scores.flat()];
  }
  for (let job = 0; job < jobs; job++) yield ["RPUSH", "queue:mail", `job ${job}`];
  for (let event = 0; event < counts.events; event++)
    yield ["XADD", "events", "*", "what", "viewed", "page", event % counts.pages];
}

/** The names of all keys that the demo creates. */
export function* keys(): Generator<string> {
  for (let number = 0; number < counts.sessions + 200; number++) yield `session:${number}`;
  for (let number = 0; number < counts.pages; number++) yield `cache:page:${number}`;
  for (let number = 0; number < counts.limiters; number++) yield `limit:10.0.${number >> 8}.${number & 255}`;
  for (let number = 0; number < counts.customers; number++) yield `customer:${number}`;
  for (let board = 0; board < counts.boards; board++) yield `leaderboard:${board}`;
  yield* ["queue:mail", "events"];
}

/** The changes between the two syncs. */
export const life = {
  visitors: Array.from({ length: 200 }, (_, number) => session(counts.sessions + number, 0)),
  carts: Array.from({ length: 300 }, (_, number) => session(1_000 + number * 7, 99)),
  games: Array.from({ length: 10 }, (_, board): RedisCommand => [
    "ZINCRBY",
    `leaderboard:${board * 3}`,
    1_000,
    "player 7",
  ]),
  mails: [["LPOP", "queue:mail"]],
  points: Array.from({ length: 25 }, (_, number): RedisCommand => ["HINCRBY", `customer:${number * 11}`, "points", 5]),
  goodbyes: Array.from({ length: 150 }, (_, number): RedisCommand => ["DEL", `session:${30_000 + number}`]),
  events: Array.from({ length: 500 }, (_, number): RedisCommand => [
    "XADD",
    "events",
    "*",
    "what",
    "bought",
    "page",
    number,
  ]),
} as const satisfies Record<string, readonly RedisCommand[]>;

/** The same changes as rows of the copy. Each command changes one key, or adds an entry. */
export const changes: readonly Change[] = [
  { table: "dragonfly_data", what: "inserted", rows: life.visitors.length, told: "200 visitors came" },
  {
    table: "dragonfly_data",
    what: "updated",
    rows: life.carts.length + life.games.length + life.mails.length + life.points.length,
    told: "300 carts were filled, 10 games played, a mail sent from the queue",
  },
  { table: "dragonfly_data", what: "deleted", rows: life.goodbyes.length, told: "150 visitors logged out" },
  { table: "customers", what: "updated", rows: life.points.length, told: "25 customers earned points" },
  { table: "dragonfly_data_streams", what: "inserted", rows: life.events.length, told: "500 events were logged" },
];
