import type { TermRule } from "./call.ts";
import { adminTerms } from "./terms-admin.ts";
import { readTerms } from "./terms-read.ts";
import { valueTerms } from "./terms-value.ts";
import { writeTerms } from "./terms-write.ts";

/** Every term that this server knows, by number. */
export const rules: ReadonlyMap<number, TermRule> = new Map(
  [valueTerms, readTerms, writeTerms, adminTerms].flatMap((terms) =>
    Object.entries(terms).map(([number, rule]) => [Number(number), rule] as const),
  ),
);

/** Whether this server knows all terms of a query, so that the recording can be held against it. */
export function unknownTerms(term: unknown): number[] {
  if (Array.isArray(term)) {
    const [number, args, options] = term as [number, unknown[]?, object?];
    const inside = [...(args ?? []), ...Object.values(options ?? {})].flatMap(unknownTerms);
    return rules.has(number) ? inside : [number, ...inside];
  }
  return typeof term === "object" && term !== null ? Object.values(term).flatMap(unknownTerms) : [];
}
