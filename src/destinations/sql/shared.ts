import type { DestinationContext } from "../../protocol/destination.ts";
import { Copies } from "./copies.ts";
import type { Session } from "./dialect.ts";
import { type Ledger, loadLedger } from "./ledger.ts";

/** What the transactions of one lease share, until one of them is undone. */
export interface Shared {
  readonly ledger: Ledger;
  readonly copies: Copies;
}

export async function loadShared(session: Session, context: DestinationContext): Promise<Shared> {
  const ledger = await loadLedger(session, context.connection);
  return { ledger, copies: await Copies.of(session, context, ledger.copies) };
}
