/** The text that replaces a secret. */
const redacted = "***";

/** Shorter secrets are only removed as whole words: a password `a` would otherwise be replaced in every word. */
const shortSecret = 4;

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
    const hide = longestFirst.map((s) => (s.length < shortSecret ? alone(escapeRegExp(s)) : escapeRegExp(s)));
    this.#pattern = hide.length === 0 ? null : new RegExp(`(${keep.join("|") || "(?!)"})|${hide.join("|")}`, "g");
  }

  text(text: string): string {
    if (this.#pattern === null) return text;
    return text.replace(this.#pattern, (_, kept: string | undefined) => kept ?? redacted);
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

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    // A `%` that does not begin an escape: the password is taken literally.
    if (error instanceof URIError) return text;
    throw error;
  }
}

function spellings(secret: string): string[] {
  const url = encodeURIComponent(secret);
  const strict = url.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const form = strict.replaceAll("%20", "+");
  const lower = [url, strict, form].map((text) => text.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()));
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, url, strict, form, ...lower, json, secret.replaceAll("'", "''"), secret.replaceAll("'", "\\'")];
}

function alone(pattern: string): string {
  return `(?<![A-Za-z0-9_])${pattern}(?![A-Za-z0-9_])`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
}
