/** What a person asked for can't be done now, or not in this way. */
export class Unfit extends Error {}

/** What came of an action. */
export interface Done {
  readonly run: string | null;
  readonly says: string;
}
