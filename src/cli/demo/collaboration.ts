import type { Json } from "../../protocol/json.ts";
import type { Change } from "./scenario.ts";

/** The tables of the published example, with the number of documents at the start of the demo. */
export const counts = {
  USERS: 500,
  PROJECTS: 120,
  tasks: 20_000,
  COMMENTS: 30_000,
  activity_log: 60_000,
} as const;

export type TableName = keyof typeof counts;

const roles = ["admin", "member", "guest"];
const states = ["planned", "active", "done"];
const actions = ["login", "view", "edit", "comment"];
const minute = 60_000;

function time(milliseconds: number): Json {
  return { $reql_type$: "TIME", epoch_time: milliseconds / 1_000, timezone: "+00:00" };
}

/** The document with a number in a table. Each table has another form of timestamp; all of these occur in practice. */
export function document(table: TableName, number: number, began: number): Json {
  const id = `${table.toLowerCase()}-${String(number).padStart(6, "0")}`;
  // Old enough that a sync for recent changes does not read these documents again.
  const then = began - 90 * 24 * 60 * minute + number * minute;
  switch (table) {
    case "USERS":
      return {
        id,
        name: `User ${number}`,
        role: roles[number % 3]!,
        settings: { theme: number % 2 === 0 ? "dark" : "light", mail: number % 5 !== 0 },
      };
    case "PROJECTS":
      return {
        id,
        title: `Project ${number}`,
        status: states[number % 3]!,
        members: [number % 7, number % 11],
        updated_at: then,
      };
    case "tasks":
      return {
        id,
        project: number % counts.PROJECTS,
        title: `Task ${number}: ${"naïve résumé ".repeat(number % 5)}`,
        priority: number % 4,
        estimate: (number % 16) / 2,
        tags: number % 3 === 0 ? [] : ["backend", `sprint ${number % 20}`],
        updated_at: time(then),
      };
    case "COMMENTS":
      return {
        id,
        task: number % counts.tasks,
        body: `Comment ${number}`,
        reactions: { "👍": number % 6 },
        created_at: time(then),
      };
    case "activity_log":
      return {
        id,
        action: actions[number % 4]!,
        details: { user: number % counts.USERS, ip: `10.0.${number >> 8}.${number & 255}` },
        timestamp: new Date(then).toISOString(),
      };
  }
}

/** Every document of a table. */
export function documents(table: TableName, began: number): Json[] {
  return Array.from({ length: counts[table] }, (_, number) => document(table, number, began));
}

/** Milliseconds since 1970: when the demo began, and now. */
interface Clock {
  readonly began: number;
  readonly now: number;
}

/** A change between the two syncs: documents that are stored or removed. */
export interface Event extends Change {
  readonly table: TableName;
  /** Makes the document with a number; `null`: the documents are removed. */
  readonly stored: ((number: number, clock: Clock) => Json) | null;
  readonly numbers: readonly number[];
}

function numbers(from: number, count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, index) => from + index * step);
}

function changed(table: TableName, fields: (now: number) => { readonly [field: string]: Json }): Event["stored"] {
  return (number, { began, now }) => ({
    ...(document(table, number, began) as { readonly [field: string]: Json }),
    ...fields(now),
  });
}

export const events: readonly Event[] = [
  {
    table: "tasks",
    what: "updated",
    rows: 300,
    told: "300 tasks moved on",
    numbers: numbers(5, 300, 41),
    stored: changed("tasks", (now) => ({ priority: 9, updated_at: time(now) })),
  },
  {
    table: "activity_log",
    what: "inserted",
    rows: 1_000,
    told: "1,000 new lines of activity",
    numbers: numbers(counts.activity_log, 1_000),
    stored: changed("activity_log", (now) => ({ timestamp: new Date(now).toISOString() })),
  },
  {
    table: "COMMENTS",
    what: "updated",
    rows: 25,
    told: "25 comments edited without a new timestamp",
    numbers: numbers(100, 25, 7),
    stored: changed("COMMENTS", () => ({ body: "edited" })),
  },
  { table: "PROJECTS", what: "deleted", rows: 7, told: "7 projects deleted", numbers: numbers(3, 7, 11), stored: null },
  {
    table: "USERS",
    what: "updated",
    rows: 12,
    told: "12 users have a new field",
    numbers: numbers(0, 12, 3),
    stored: changed("USERS", () => ({ invited_by: "users-000001" })),
  },
];
