import { decoded } from "../toolkit/decoded.ts";

/** The text that replaces a secret. */
const redacted = "***";

/**
 * A secret that is shorter, or a number of fewer digits than `longNumber`, can be guessed anyway, and would be replaced in
 * line numbers, ports and words. It is removed only where it stands as a secret: behind a name such as `password=`, or
 * between a user and an `@`.
 */
const shortSecret = 4;
const longNumber = 8;

/** The text before a value that is a secret by its name: `password: "`, `PWD=`, `auth a`, `reader:` in an address. */
const named = String.raw`(?<=(?:pass(?:word|wd|phrase)?|pwd|secret|token|key|credentials?|auth)["']?\s*(?:[:=]\s*|\s)["']?)`;

/** The password in an address, even if it is not known as a secret. */
const addressed = /(?<=\b[a-z][a-z0-9+.-]*:\/\/[^\s:@/?#"']*:)[^\s"'`]+(?=@)/gi;

/**
 * Removes secrets from all output of the process. It knows the spellings in which drivers, servers and shells repeat
 * them: unchanged, URL-encoded, escaped in JSON, with quotes doubled for SQL.
 */
export class Redactor {
  readonly #spellings = new Set<string>();
  readonly #vocabulary: readonly string[];
  #pattern: RegExp | null = null;

  /**
   * `vocabulary`: our own words, which stay whole even if a secret is part of them. Otherwise YugabyteDB's default
   * password `yugabyte` would turn `yugabytedb` into `***db`.
   */
  constructor(vocabulary: readonly string[] = []) {
    this.#vocabulary = vocabulary;
  }

  /** Adds a secret. The password in a URL is added too, because drivers show it separately. */
  add(secret: string): void {
    for (const value of [secret, ...passwordsOf(secret)]) {
      if (value.trim() === "") continue;
      for (const spelling of spellings(value)) this.#spellings.add(spelling);
    }
    const longestFirst = [...this.#spellings].sort((a, b) => b.length - a.length);
    const kept = this.#vocabulary.filter((word) => longestFirst.some((s) => s !== word && word.includes(s)));
    const keep = kept.map((word) => alone(escapeRegExp(word)));
    const hide = longestFirst.map((s) => (isShort(s) ? shortly(escapeRegExp(s)) : escapeRegExp(s)));
    this.#pattern = hide.length === 0 ? null : new RegExp(`(${keep.join("|") || "(?!)"})|${hide.join("|")}`, "g");
  }

  text(text: string): string {
    const known =
      this.#pattern === null ? text : text.replace(this.#pattern, (_, kept: string | undefined) => kept ?? redacted);
    return known.includes("://") ? known.replace(addressed, redacted) : known;
  }

  /** A JSON value with the secrets removed from every string in it, at any depth. */
  json(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.json(item)]));
  }
}

function passwordsOf(secret: string): string[] {
  if (!secret.includes("://") || !URL.canParse(secret)) return [];
  const { password } = new URL(secret);
  return [password, decoded(password)];
}

function spellings(secret: string): string[] {
  const url = encodeURIComponent(secret);
  const strict = url.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const form = strict.replaceAll("%20", "+");
  const lower = [url, strict, form].map((text) => text.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, url, strict, form, ...lower, json, secret.replaceAll("'", "''"), secret.replaceAll("'", "\\'")];
}

function isShort(secret: string): boolean {
  return secret.length < shortSecret || (secret.length < longNumber && /^\d+$/.test(secret));
}

/** The places where a short secret is removed. */
function shortly(pattern: string): string {
  return `${named}${alone(pattern)}|(?<=:)${pattern}(?=@)`;
}

function alone(pattern: string): string {
  return `(?<![A-Za-z0-9_])${pattern}(?![A-Za-z0-9_])`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
