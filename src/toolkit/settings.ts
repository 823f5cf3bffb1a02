import { z } from "zod";

/** An empty field of a form means that nothing was set, and so does a setting in YAML without a value. */
export function blankIsAbsent(value: unknown): unknown {
  return value === null || (typeof value === "string" && value.trim() === "") ? undefined : value;
}

/** A whole number, as text too: the published settings have nothing else. */
export function whole(least: number, most: number) {
  return z.preprocess(
    (value) => (typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : blankIsAbsent(value)),
    z
      .int({ error: `must be a whole number from ${least} to ${most}` })
      .min(least, { error: `must be at least ${least}` })
      .max(most, { error: `must be at most ${most}` })
      .optional(),
  );
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  yes: true,
  no: false,
  on: true,
  off: false,
};

export const flag = z.preprocess(
  (value) => {
    const word = typeof value === "string" ? words[value.trim().toLowerCase()] : undefined;
    return word ?? blankIsAbsent(value);
  },
  z.boolean({ error: "must be true or false" }).optional(),
);

export const text = z.string().trim().min(1, { error: "must not be empty" });

export const optionalText = z.preprocess(blankIsAbsent, z.string().trim().optional());

/** Spaces at its ends count. */
export const optionalPassword = z.preprocess(blankIsAbsent, z.string().optional());

/** One of these words, as `map` makes them of what is given. */
export function choice<const Words extends readonly string[]>(options: Words, map = (word: string): string => word) {
  return z.preprocess(
    (value) => blankIsAbsent(typeof value === "string" ? map(value.trim()) : value),
    z.enum(options, { error: `must be one of ${options.join(", ")}` }).optional(),
  );
}
