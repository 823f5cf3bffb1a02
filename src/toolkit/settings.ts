import { z } from "zod";

/** An empty field of a form means that nothing was set. */
export function blankIsAbsent(value: unknown): unknown {
  return typeof value === "string" && value.trim() === "" ? undefined : value;
}

/** A whole number, as text too: the published settings have nothing else. */
export function whole(least: number, most: number) {
  return z.preprocess(
    (value) => (typeof value === "string" && /^\s*\d+\s*$/.test(value) ? Number(value) : blankIsAbsent(value)),
    z
      .int({ error: `must be a whole number from ${least} to ${most}` })
      .min(least, { error: `must be at least ${least}` })
      .max(most, { error: `must be at most ${most}` })
      .optional(),
  );
}

const words: Readonly<Record<string, boolean>> = { true: true, false: false, yes: true, no: false };

export const flag = z.preprocess(
  (value) => {
    const word = typeof value === "string" ? words[value.trim().toLowerCase()] : undefined;
    return word ?? blankIsAbsent(value);
  },
  z.boolean({ error: "must be true or false" }).optional(),
);

export const text = z.string().trim().min(1, { error: "must not be empty" });
