/** A part of an address. A `%` that does not begin an escape, as passwords may have it, is taken literally. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (thrown) {
    if (thrown instanceof URIError) return text;
    throw thrown;
  }
}
