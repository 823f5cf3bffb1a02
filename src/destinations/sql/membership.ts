import type { DestinationContext } from "../../protocol/destination.ts";
import type { Pass, Progress } from "../../protocol/pass.ts";
import { leaseLost } from "./bookkeeping.ts";
import type { Session } from "./dialect.ts";
import { kept } from "./kept.ts";
import type { Ledger } from "./ledger.ts";
import type { PassTables } from "./pass-tables.ts";

/** What keeps a transaction of a team's member apart from those of the others. */
export class Membership {
  readonly #session: Session;
  readonly #connection: string;
  readonly #ledger: Ledger;
  readonly #lease: number;
  readonly #passes: PassTables;
  /** Tables that no other member works on as a whole. */
  readonly #excluded = new Set<string>();

  constructor(session: Session, { connection }: DestinationContext, ledger: Ledger, lease: number, passes: PassTables) {
    this.#session = session;
    this.#connection = connection;
    this.#ledger = ledger;
    this.#lease = lease;
    this.#passes = passes;
  }

  /**
   * Call before something is done to a table as a whole: no other member does, or commits a split of the pass, until this
   * transaction ends. Throws `LEASE_LOST` if another one has done it.
   */
  async exclude(pass: Pass | null, table: string): Promise<void> {
    await this.#lock(false, "table", table);
    if (pass !== null) await this.#lock(false, "pass", pass.id);
    if (this.#excluded.has(table)) return;
    this.#excluded.add(table);
    if (!(await this.#isAsStored(table))) throw leaseLost(this.#connection);
    this.#passes.handOver(table);
  }

  /**
   * Call before rows are merged. A merge finds rows by their places: two at a time would miss what the other writes. The
   * seal is as the last of them left it.
   */
  async merging(table: string): Promise<void> {
    await this.#lock(false, "merge", table);
    await this.#ledger.seals.reload(this.#session, table);
  }

  /**
   * Call when about to commit. Throws `LEASE_LOST`. The lease is locked and not written, so that members don't wait for one
   * another, but who takes it over waits for their commits. Of two members that have read the same split one commits, and
   * none while its pass is ended.
   */
  async check(progress: readonly Progress[]): Promise<void> {
    const held = await this.#session.rows(
      `SELECT lease FROM ${kept(this.#session, "leases", this.#connection)}
        WHERE connection = $1 AND lease = CAST($2 AS bigint) AND held FOR SHARE`,
      [this.#connection, this.#lease],
    );
    if (held.length !== 1) throw leaseLost(this.#connection);
    for (const pass of new Set(progress.map((entry) => entry.pass))) await this.#lock(true, "pass", pass);
    const splits = progress.map(({ pass, split }) => `${pass}\n${split}`).sort();
    for (const split of splits) await this.#lock(false, "split", split);
  }

  #lock(shared: boolean, ...what: readonly string[]): Promise<void> {
    return this.#session.dialect.team!.lock(this.#session, [this.#connection, ...what].join("\n"), shared);
  }

  /** Whether the passes and the state of a table are those of the ledger: no other member has changed them. */
  async #isAsStored(table: string): Promise<boolean> {
    const { passes, pass_tables, tables } = this.#ledger;
    const stored = await this.#session.rows(
      `SELECT pass FROM ${kept(this.#session, "pass_tables", this.#connection)} WHERE connection = $1 AND id = $2
        UNION ALL SELECT state FROM ${kept(this.#session, "tables", this.#connection)} WHERE connection = $1 AND id = $2`,
      [this.#connection, table],
    );
    const known = [
      ...pass_tables
        .all()
        .flatMap(({ pass, id }) => (id === table && passes.get(pass as string) !== null ? [pass] : [])),
      ...(tables.get(table) === null ? [] : [tables.get(table)!["state"]]),
    ];
    return JSON.stringify(stored.map(({ pass }) => pass).sort()) === JSON.stringify(known.sort());
  }
}
