/** A request that can't be done now, or not in this way. */
export class Unfit extends Error {}

/** The result of an action. */
export interface Done {
  readonly run: string | null;
  readonly says: string;
}
