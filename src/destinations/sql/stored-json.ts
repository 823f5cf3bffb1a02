/**
 * JSON for a column of the bookkeeping. DuckLake takes `{NAME}` in a text for its own placeholder, so braces before
 * capital letters are escaped.
 */
export function stored(value: unknown): string {
  return JSON.stringify(value).replaceAll(/\{(?=[A-Z])/g, "\\u007b");
}
