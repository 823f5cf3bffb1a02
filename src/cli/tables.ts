import { HeadwatersError } from "../protocol/errors.ts";
import { nearest } from "../toolkit/nearest.ts";

/** The things that have one of these names; without names, all things. Throws for an unknown name. */
export function onlyTables<Thing>(
  things: readonly Thing[],
  names: readonly string[],
  nameOf: (thing: Thing) => string,
): readonly Thing[] {
  if (names.length === 0) return things;
  const known = things.map(nameOf);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const meant = nearest(unknown, known);
    throw new HeadwatersError("TABLE_UNKNOWN", `--tables: there is no table "${unknown}" here.`, {
      hint: meant === null ? `The tables are ${known.join(", ") || "none"}.` : `Did you mean ${meant}?`,
    });
  }
  return things.filter((thing) => names.includes(nameOf(thing)));
}
