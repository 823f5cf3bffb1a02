import type { Json } from "../../protocol/json.ts";

/** Keys from `low` on and before `high`; `null`: no bound. */
export interface KeySplit {
  readonly low: Json;
  readonly high: Json;
}

/** Approximate documents per split. */
const splitRows = 50_000;
const mostSplits = 16;

/** The number of splits for a table. */
export function splitCount(estimatedRows: number | null): number {
  return Math.max(1, Math.min(mostSplits, Math.ceil((estimatedRows ?? 0) / splitRows)));
}

/**
 * Cuts the keys between the first and the last one into `parts` of equal width. Numbers and times are cut by value,
 * text by the characters after the common prefix (UUIDs spread evenly over these). Other keys are not cut. Nothing is
 * read. The parts may hold different numbers of documents; they do not overlap, and no key is left out.
 */
export function cutKeys(range: { readonly first: Json; readonly last: Json }, parts: number): readonly KeySplit[] {
  const bounds = [null, ...boundsBetween(range.first, range.last, parts), null];
  return bounds.slice(1).map((high, index) => ({ low: bounds[index]!, high }));
}

function boundsBetween(first: Json, last: Json, parts: number): Json[] {
  if (parts < 2) return [];
  if (typeof first === "number" && typeof last === "number") return numbersBetween(first, last, parts);
  if (typeof first === "string" && typeof last === "string") return textsBetween(first, last, parts);
  const [from, to] = [secondsOf(first), secondsOf(last)];
  if (from === null || to === null) return [];
  return numbersBetween(from, to, parts).map((seconds) => ({
    $reql_type$: "TIME",
    epoch_time: Math.round(seconds * 1_000) / 1_000,
    timezone: "+00:00",
  }));
}

function secondsOf(key: Json): number | null {
  const { $reql_type$: type, epoch_time: seconds } = (key ?? {}) as { readonly [field: string]: Json };
  return type === "TIME" ? (seconds as number) : null;
}

function numbersBetween(first: number, last: number, parts: number): number[] {
  const width = last / parts - first / parts;
  return rising(
    Array.from({ length: parts - 1 }, (_, index) => first + width * (index + 1)),
    (a, b) => a < b,
  );
}

/** From the narrowest on. The first alphabet that fits both ends is assumed to be that of all keys. */
const alphabets: readonly string[] = [
  "0123456789",
  "0123456789abcdef",
  "0123456789ABCDEF",
  "0123456789abcdefghijklmnopqrstuvwxyz",
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
];

/** Characters of a bound after the common prefix. */
const boundDigits = 4;

function textsBetween(first: string, last: string, parts: number): string[] {
  let common = 0;
  while (common < first.length && first[common] === last[common]) common++;
  const [from, to] = [first.slice(common, common + boundDigits), last.slice(common, common + boundDigits)];
  // Without half of a surrogate pair at the end.
  const prefix = first.slice(0, common).replace(/[\ud800-\udbff]$/, "");
  const used = [...`${from}${to}`].filter((letter) => /\w/.test(letter));
  const alphabet = alphabets.find((letters) => used.every((letter) => letters.includes(letter))) ?? alphabets.at(-1)!;
  const base = alphabet.length;
  const numberOf = (text: string): number => {
    let number = 0;
    for (let index = 0; index < boundDigits; index++) number = number * base + rank(alphabet, text[index]);
    return number;
  };
  const texts = numbersBetween(numberOf(from), numberOf(to), parts).map((number) => {
    let rest = Math.floor(number);
    let text = "";
    for (let index = 0; index < boundDigits; index++) {
      text = alphabet[rest % base]! + text;
      rest = Math.floor(rest / base);
    }
    return prefix + text;
  });
  return rising(texts, (a, b) => a < b).filter((text) => text > first && text <= last);
}

/** The place of a character in the alphabet, or of the last letter before it; a missing character is the least. */
function rank(alphabet: string, letter: string | undefined): number {
  if (letter === undefined) return 0;
  const place = [...alphabet].findLastIndex((candidate) => candidate <= letter);
  return Math.max(0, place);
}

/** Drops bounds that are not greater than the bound before. */
function rising<T>(bounds: readonly T[], less: (a: T, b: T) => boolean): T[] {
  return bounds.filter((bound, index) => index === 0 || less(bounds[index - 1]!, bound));
}
