import { z } from "zod";
import { kinds, parseType } from "./types.ts";

/** Treats an empty form field, and a YAML setting without a value, as not set. */
export function blankIsAbsent(value: unknown): unknown {
  return value === null || (typeof value === "string" && value.trim() === "") ? undefined : value;
}

/** A pattern for text that equals the word in any case, since patterns of JSON Schema have no flags. */
export function inAnyCase(word: string): string {
  return word.replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`);
}

// For the schema of editors, the metadata says what may be written besides the value itself: `text` is a pattern of
// text that is accepted for it, and `blank` allows a setting without a value.

const wholeText = String.raw`^\s*([+-]?\d+\s*)?$`;
const wholeForm = new RegExp(wholeText);

/** A whole number. Text is accepted too, because the published settings are all text. */
export function whole(least: number, most: number) {
  return z
    .preprocess(
      (value) =>
        typeof value === "string" && /\d/.test(value) && wholeForm.test(value) ? Number(value) : blankIsAbsent(value),
      z
        .int({ error: `must be a whole number from ${least} to ${most}` })
        .min(least, { error: `must be at least ${least}` })
        .max(most, { error: `must be at most ${most}` })
        .optional(),
    )
    .meta({ text: wholeText, blank: true });
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  false: false,
  yes: true,
  no: false,
  on: true,
  off: false,
};

export const flag = z
  .preprocess(
    (value) => {
      const word = typeof value === "string" ? words[value.trim().toLowerCase()] : undefined;
      return word ?? blankIsAbsent(value);
    },
    z.boolean({ error: "must be true or false" }).optional(),
  )
  .meta({ text: oneOf(Object.keys(words).map(inAnyCase)), blank: true });

export const text = z
  .string()
  .trim()
  .min(1, { error: "must not be empty" })
  .meta({ text: String.raw`\S` });

export const optionalText = z.preprocess(blankIsAbsent, z.string().trim().optional()).meta({ blank: true });

/** Leading and trailing spaces are part of the password. */
export const optionalPassword = z.preprocess(blankIsAbsent, z.string().optional()).meta({ blank: true });

/** One of these words. `in any case`: the options are in upper case, and users may write them in any. */
export function choice<const Words extends readonly string[]>(
  options: Words,
  how: "as written" | "in any case" = "as written",
) {
  const caseless = how === "in any case";
  return z
    .preprocess(
      (value) =>
        blankIsAbsent(typeof value === "string" ? (caseless ? value.trim().toUpperCase() : value.trim()) : value),
      z.enum(options, { error: `must be one of ${options.join(", ")}` }).optional(),
    )
    .meta({ text: oneOf(caseless ? options.map(inAnyCase) : options), blank: true });
}

/**
 * One of these words for all tables; or a word by table, with `*` for the others, in a mapping or as JSON in a text. `why`: why
 * another word that users may try is not among them.
 */
export function byTable<const Words extends readonly string[]>(
  options: Words,
  why: Readonly<Record<string, string>> = {},
) {
  const refused = (input: unknown, more: string): string => {
    const reason = typeof input === "string" ? why[input] : undefined;
    return `must be one of ${options.join(", ")}${reason === undefined ? more : `: ${reason}`}`;
  };
  const one = z.enum(options, { error: ({ input }) => refused(input, "") });
  const mapping = z.record(z.string(), one);
  return z
    .preprocess(
      (value) => {
        const given = blankIsAbsent(typeof value === "string" ? value.trim() : value);
        return typeof given === "string" && given.startsWith("{") ? (parsed(given) ?? given) : given;
      },
      z.union([one, mapping], { error: ({ input }) => refused(input, ", or one of them by table") }).optional(),
    )
    .meta({ text: String.raw`^\s*((${options.join("|")})\s*|\{.*\}\s*)?$`, blank: true });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a setting that {@link byTable} made says of a table; `undefined`: nothing. */
export function ofTable<Word extends string>(
  setting: Word | Readonly<Record<string, Word>>,
  table: string,
): Word | undefined {
  if (typeof setting === "string") return setting;
  return Object.hasOwn(setting, table) ? setting[table] : setting["*"];
}

/** A pattern for one of these, with blanks around it, or for blanks alone. */
function oneOf(patterns: readonly string[]): string {
  return String.raw`^\s*((${patterns.join("|")})\s*)?$`;
}

const typeText = `^\\s*(${kinds.map(inAnyCase).join("|")})(\\(\\s*\\d+\\s*(,\\s*\\d+\\s*)?\\))?\\s*$`;

/** One of our types, by its name. */
export const typeSetting = z
  .string()
  .meta({ text: typeText })
  .transform((text, context) => {
    const type = parseType(text);
    if (type !== null) return type;
    context.addIssue({
      code: "custom",
      message: "must be one of Headwaters' types, as LONG, DECIMAL(12,4), UTC_DATETIME, STRING, JSON",
    });
    return z.NEVER;
  });
