/** JSON for a column of the bookkeeping. A lake takes `{NAME}` in a text for a placeholder of its own: no brace stands so. */
export function stored(value: unknown): string {
  return JSON.stringify(value).replaceAll(/\{(?=[A-Z])/g, "\\u007b");
}
