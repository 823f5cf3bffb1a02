import type { z } from "zod";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import { mistake, shown } from "./mistake.ts";

/** What a source begins with that was never read. */
export const emptyState: Json = {};

/** A state as it is kept. Throws `SOURCE_MISTAKEN` for what is no plain JSON, or not of the source's schema. */
export function keptState(state: unknown, schema: z.ZodType): Json {
  if (state === undefined) {
    throw mistake("checkpoint() was called without a state", "Give what the next sync needs in order to go on.");
  }
  const odd = oddPart(state, "state", new Set());
  if (odd !== null) throw mistake(`checkpoint(state): ${odd}`, "A state is JSON: text, numbers, true, false, null.");
  const parsed = schema.safeParse(state);
  if (!parsed.success) {
    throw mistake(
      `checkpoint(state): ${problem(parsed.error)}`,
      "The state must be as the source's `state` schema says.",
    );
  }
  // The source may go on changing the object that it gave.
  return JSON.parse(JSON.stringify(state)) as Json;
}

/** A kept state as `update()` is given it. */
export function givenState(state: Json, schema: z.ZodType, source: string): unknown {
  const parsed = schema.safeParse(state);
  if (parsed.success) return parsed.data;
  if (state === emptyState) {
    throw mistake(
      `state: the first sync of source "${source}" begins with {}, and ${problem(parsed.error)}`,
      "Give each part of the state a default, or make it optional.",
    );
  }
  throw new HeadwatersError(
    "SCOPE_CHANGED",
    `the state that was kept of source "${source}" is not as its \`state\` schema says: ${problem(parsed.error)}`,
    { hint: "Let the schema accept it, or start over: run with --full." },
  );
}

function problem(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${["state", ...(issue?.path ?? [])].join(".")}: ${issue?.message ?? "is wrong"}`;
}

/** What keeps a value from being plain JSON, by the path to it; `null`: nothing. */
function oddPart(value: unknown, path: string, above: Set<object>): string | null {
  if (value === null || typeof value === "string" || typeof value === "boolean") return null;
  if (typeof value === "number") return Number.isFinite(value) ? null : `${path} is ${value}`;
  if (typeof value !== "object") return `${path} is ${shown(value)}`;
  if (above.has(value)) return `${path} refers to itself`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null)
    return `${path} is ${value.constructor?.name ?? "an object"}: ${shown(value)}`;
  above.add(value);
  for (const [name, part] of Object.entries(value)) {
    // As in JSON.stringify, what is undefined is left out.
    const odd = part === undefined && !Array.isArray(value) ? null : oddPart(part, `${path}.${name}`, above);
    if (odd !== null) return odd;
  }
  above.delete(value);
  return null;
}
