import { z } from "zod";

/** Treats an empty form field, and a YAML setting without a value, as not set. */
export function blankIsAbsent(value: unknown): unknown {
  return value === null || (typeof value === "string" && value.trim() === "") ? undefined : value;
}

/** A whole number. Text is accepted too, because the published settings are all text. */
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

/** Leading and trailing spaces are part of the password. */
export const optionalPassword = z.preprocess(blankIsAbsent, z.string().optional());

/** One of these words; `map` is applied to the given word first. */
export function choice<const Words extends readonly string[]>(options: Words, map = (word: string): string => word) {
  return z.preprocess(
    (value) => blankIsAbsent(typeof value === "string" ? map(value.trim()) : value),
    z.enum(options, { error: `must be one of ${options.join(", ")}` }).optional(),
  );
}
