import type { z } from "zod";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Json } from "../protocol/json.ts";
import { mistake, shown } from "./mistake.ts";

/** The state of a source that was never read. */
export const emptyState: Json = {};

/** A state as it is stored. Throws `SOURCE_MISTAKEN` if it is not plain JSON, or does not match the source's schema. */
export function keptState(state: unknown, schema: z.ZodType): Json {
  if (state === undefined) {
    throw mistake("checkpoint() was called without a state", "Give what the next sync needs to go on.");
  }
  const odd = oddPart(state, "state", new Set());
  if (odd !== null) throw mistake(`checkpoint(state): ${odd}`, "A state is JSON: text, numbers, true, false, null.");
  const parsed = schema.safeParse(state);
  if (!parsed.success) {
    throw mistake(`checkpoint(state): ${problem(parsed.error)}`, "The state must match the source's `state` schema.");
  }
  // The source may change its object later.
  return JSON.parse(JSON.stringify(state)) as Json;
}

/** A stored state as `update()` gets it. */
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
    `the stored state of source "${source}" does not match its \`state\` schema: ${problem(parsed.error)}`,
    { hint: "Change the schema so that it accepts this state, or start over with --full." },
  );
}

function problem(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${["state", ...(issue?.path ?? [])].join(".")}: ${issue?.message ?? "is wrong"}`;
}

/** What in a value is not plain JSON, with its path; `null`: nothing. */
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
    // As in JSON.stringify, undefined members are left out.
    const odd = part === undefined && !Array.isArray(value) ? null : oddPart(part, `${path}.${name}`, above);
    if (odd !== null) return odd;
  }
  above.delete(value);
  return null;
}
