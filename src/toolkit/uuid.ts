/** All of its digits are zero. */
export const nilUuid = "00000000-0000-0000-0000-000000000000";

const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A UUID in its canonical form, in lower case, as vectors hold it; `null`: the text is none. */
export function canonicalUuid(text: string): string | null {
  const lower = text.toLowerCase();
  return pattern.test(lower) ? lower : null;
}
