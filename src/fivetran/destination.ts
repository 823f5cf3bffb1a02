import { type StateDocument, stateDocument } from "../engine/state-document.ts";
import { HeadwatersError } from "../protocol/errors.ts";
import type { Pass, Progress, Split } from "../protocol/pass.ts";
import type { Rows } from "../protocol/rows.ts";
import type { Destination, DestinationCapabilities } from "../protocol/destination.ts";
import type { Stored } from "../protocol/state-store.ts";
import type { Change, Changes, Deletes, Settlement, Transaction } from "../protocol/transaction.ts";
import type { Table, TableState } from "../protocol/table.ts";
import { unite } from "../toolkit/types.ts";
import { Checkpoints, type Progressed } from "./checkpoints.ts";
import { RecordEncoder } from "./encode-records.ts";
import { DigestStore } from "./digest-store.ts";
import type { ResponseStream } from "./response-stream.ts";
import type { FivetranState } from "./state-json.ts";
import { TableWriter, type WriterContext } from "./table-writer.ts";
import { tableMessage } from "./types.ts";

/** The only lease: Fivetran runs one sync of a connection at a time. */
const lease = 1;

/**
 * Fivetran as a destination. Rows are sent as they are written, and count once the next checkpoint is sent. A transaction
 * that is undone takes no row back, but no checkpoint has its state: its rows are sent again, which does no harm. The
 * copy can't be read; {@link TableWriter} works with row digests instead.
 */
export class FivetranDestination implements Destination {
  /** Each checkpoint has the whole state, and sent rows can't be taken back. */
  readonly capabilities: DestinationCapabilities = {
    atomic: "connection",
    writers: "one",
    ddl: "not",
    reads: "never",
  };
  readonly #source: string;
  readonly #schema: string;
  readonly #responses: ResponseStream;
  readonly #digests: DigestStore;
  readonly #checkpoints: Checkpoints;
  readonly #context: WriterContext;
  readonly #passes: Map<string, Pass>;
  readonly #progress = new Map<string, Map<string, Progress>>();
  readonly #tables: Map<string, TableState>;
  /** By pass and table: tables that were truncated. */
  readonly #truncated: Set<string>;
  /** Which columns are selected: stored as given. */
  readonly #columns: FivetranState["columns"];
  /** By pass and table, of the passes that this process works on. */
  readonly #writers = new Map<string, TableWriter>();
  /** The last schema message of this sync, by table id. */
  readonly #announced = new Map<string, string>();

  constructor(
    of: { readonly source: string; readonly schema: string; readonly checkpointRows: number },
    { document, notes, truncated, columns }: FivetranState,
    responses: ResponseStream,
  ) {
    this.#source = of.source;
    this.#schema = of.schema;
    this.#responses = responses;
    this.#passes = new Map(document.passes.map((pass) => [pass.id, pass]));
    this.#tables = new Map(Object.entries(document.tables));
    for (const entry of document.progress) this.#keepProgress(entry);
    this.#truncated = new Set(truncated);
    this.#columns = columns;
    this.#digests = new DigestStore(notes);
    this.#checkpoints = new Checkpoints(responses, this.#digests, of.checkpointRows, () => this.#progressed());
    const encoder = new RecordEncoder(of.schema, (message) => {
      const marked = this.#checkpoints.beforeRows();
      return marked === null ? responses.send(message) : marked.then(() => responses.send(message) ?? undefined);
    });
    this.#context = {
      encoder,
      digests: this.#digests,
      sent: (rows) => this.#checkpoints.rows(rows),
      replacing: async (table) => {
        this.#tables.delete(table);
        await this.#checkpoints.now();
      },
    };
  }

  /** Tables whose row digests were damaged in the state, and dropped. */
  get damaged(): readonly string[] {
    return this.#digests.damaged;
  }

  /** Forgets tables that are gone from the source. What Fivetran has of them stays. */
  async forget(tables: readonly string[]): Promise<void> {
    const transaction = await this.begin();
    await transaction.reset(tables, false);
    await transaction.commit([]);
  }

  async acquire(): Promise<number> {
    return lease;
  }

  async release(): Promise<void> {}

  async load(): Promise<Stored> {
    return {
      passes: [...this.#passes.values()],
      progress: [...this.#progress.values()].flatMap((entries) => [...entries.values()]),
      tables: new Map(this.#tables),
      lastRun: null,
      lastStamp: null,
    };
  }

  async begin(): Promise<Transaction> {
    return new FivetranTransaction(this.#staging());
  }

  fullPass(table: string): "settles" | "replaces" {
    return this.#digests.fits(table) ? "settles" : "replaces";
  }

  /** Sends the last checkpoint. */
  async end(): Promise<void> {
    await this.#checkpoints.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** What a transaction works with: its own passes and tables until it commits. */
  #staging(): Staging {
    return {
      passes: new Map(this.#passes),
      tables: new Map(),
      writer: (pass, table) => this.#writer(pass, table),
      announce: (table) => this.#announce(table),
      rowsOf: (table) => this.#digests.rowsOf(table),
      forget: (table) => {
        this.#tables.delete(table);
        this.#digests.forget(table);
      },
      commit: (staging, progress) => this.#commit(staging, progress),
    };
  }

  #writer(pass: Pass, id: string): TableWriter {
    const name = writerName(pass, id);
    const known = this.#writers.get(name);
    if (known !== undefined) return known;
    const table = pass.tables.find((candidate) => candidate.id === id)!;
    const isNew = !this.#passes.has(pass.id);
    const settles = isNew && !pass.replace && this.#digests.of(table) !== null;
    const mode = pass.kind !== "full" ? "add" : settles ? "settle" : "replace";
    const writer = new TableWriter(table, mode, this.#truncated.has(name), this.#context);
    this.#writers.set(name, writer);
    return writer;
  }

  /** Announces a table to Fivetran before its first row, and again if its columns have changed. */
  async #announce(table: Table): Promise<void> {
    const message = tableMessage(table);
    const text = JSON.stringify(message);
    if (this.#announced.get(table.id) === text) return;
    this.#announced.set(table.id, text);
    const withSchema = { schemas: [{ name: this.#schema, tables: [message] }] };
    await this.#responses.write({ schemaChange: { withSchema } });
  }

  async #commit(staging: Staging, progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>> {
    for (const entry of progress) this.#demandNext(entry);
    for (const [id, state] of staging.tables) this.#tables.set(id, state);
    if (staging.tables.size > 0) this.#checkpoints.closed();
    const changes = new Map<string, Changes>();
    for (const writer of this.#writers.values()) add(changes, writer.table.id, writer.takeChanges());
    for (const [id, pass] of staging.passes) this.#passes.set(id, pass);
    for (const pass of [...this.#passes.values()]) if (!staging.passes.has(pass.id)) this.#forgetPass(pass);
    for (const entry of progress) if (this.#passes.has(entry.pass)) this.#keepProgress(entry);
    await this.#checkpoints.committed();
    return changes;
  }

  #demandNext({ pass, split, version }: Progress): void {
    const stored = this.#progress.get(pass)?.get(split)?.version ?? 0;
    if (version === stored + 1) return;
    throw new HeadwatersError("LEASE_LOST", `progress ${version} of split ${split} does not follow ${stored}`);
  }

  #keepProgress(entry: Progress): void {
    const known = this.#progress.get(entry.pass) ?? new Map<string, Progress>();
    this.#progress.set(entry.pass, known.set(entry.split, entry));
  }

  /** A pass was closed or given up. */
  #forgetPass(pass: Pass): void {
    this.#passes.delete(pass.id);
    this.#progress.delete(pass.id);
    for (const table of pass.tables) {
      this.#writers.delete(writerName(pass, table.id));
      this.#truncated.delete(writerName(pass, table.id));
    }
  }

  /** A checkpoint's content. Passes that only this process can continue are left out. */
  #progressed(): Progressed {
    const stored = [...this.#passes.values()].filter((pass) =>
      pass.tables.every((table) => this.#writers.get(writerName(pass, table.id))?.isStored !== false),
    );
    const ids = new Set(stored.map((pass) => pass.id));
    const document: StateDocument = stateDocument(this.#source, {
      passes: stored,
      progress: [...this.#progress].flatMap(([id, entries]) => (ids.has(id) ? [...entries.values()] : [])),
      tables: this.#tables,
    });
    for (const [name, writer] of this.#writers) if (writer.truncated) this.#truncated.add(name);
    const truncated = [...this.#truncated].filter((name) => ids.has(name.split(" ")[0]!));
    return { document, truncated, columns: this.#columns };
  }
}

/** What a transaction changes once it commits, and the functions whose effect it can't undo. */
interface Staging {
  readonly passes: Map<string, Pass>;
  /** States of tables whose passes were closed. */
  readonly tables: Map<string, TableState>;
  writer(pass: Pass, table: string): TableWriter;
  announce(table: Table): Promise<void>;
  rowsOf(table: string): number;
  forget(table: string): void;
  commit(staging: Staging, progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>>;
}

class FivetranTransaction implements Transaction {
  readonly #staging: Staging;

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  async open(pass: Pass): Promise<void> {
    for (const table of pass.tables) {
      await this.#staging.announce(table);
      this.#staging.writer(pass, table.id);
    }
    this.#staging.passes.set(pass.id, pass);
  }

  async abandon(pass: Pass): Promise<void> {
    this.#staging.passes.delete(pass.id);
  }

  async write(pass: Pass, _: Split | null, operation: Change): Promise<void> {
    if (operation.kind === "keys")
      throw new HeadwatersError("DEFECT", "a sweep was made though the copy can't be read");
    if (operation.kind === "schema") return this.#reshape(pass, operation.table);
    return this.#staging.writer(pass, operation.table).write(operation);
  }

  /** Rows that were sent can't be taken back: they are sent at once, and come again where their split is read again. */
  hold(pass: Pass, split: Split, operation: Change): Promise<void> {
    return this.write(pass, split, operation);
  }

  /** They are there already. */
  async keep(): Promise<void> {}

  /** They can't be taken back. */
  async discard(): Promise<void> {}

  async count({ id }: Table): Promise<number> {
    return this.#staging.rowsOf(id);
  }

  async settlement(pass: Pass, { id }: Table): Promise<Settlement> {
    return this.#staging.writer(pass, id).settlement();
  }

  async *missing(): AsyncGenerator<Rows> {}

  async *gone(pass: Pass, { id }: Table): AsyncGenerator<Rows> {
    yield* this.#staging.writer(pass, id).gone();
  }

  async close(pass: Pass, states: ReadonlyMap<string, TableState>, deletes: Deletes = "find"): Promise<void> {
    for (const [id, state] of states) {
      const writer = this.#staging.writer(pass, id);
      const found = pass.kind !== "full" || (await writer.close(deletes));
      this.#staging.tables.set(id, found ? state : { ...state, sweptAt: longAgo });
    }
    this.#staging.passes.delete(pass.id);
  }

  async reset(tables: readonly string[]): Promise<void> {
    for (const table of tables) this.#staging.forget(table);
    for (const pass of [...this.#staging.passes.values()]) {
      if (pass.tables.some((table) => tables.includes(table.id))) await this.abandon(pass);
    }
  }

  /** Nothing: Fivetran keeps its own records. */
  async record(): Promise<void> {}

  async commit(progress: readonly Progress[]): Promise<ReadonlyMap<string, Changes>> {
    return this.#staging.commit(this.#staging, progress);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #reshape(pass: Pass, wider: Table): Promise<void> {
    const open = this.#staging.passes.get(pass.id) ?? pass;
    const tables = open.tables.map((table) => (table.id === wider.id ? unite(table, wider) : table));
    this.#staging.passes.set(pass.id, { ...open, tables });
    const table = tables.find((candidate) => candidate.id === wider.id)!;
    this.#staging.writer(pass, wider.id).table = table;
    await this.#staging.announce(table);
  }
}

/** The pass could not find deletes: the next sync looks for them. */
const longAgo = new Date(0).toISOString();

function writerName(pass: Pass, table: string): string {
  return `${pass.id} ${table}`;
}

function add(to: Map<string, Changes>, table: string, { inserted, updated, deleted }: Changes): void {
  if (inserted + updated + deleted === 0) return;
  const before = to.get(table) ?? { inserted: 0, updated: 0, deleted: 0 };
  to.set(table, {
    inserted: before.inserted + inserted,
    updated: before.updated + updated,
    deleted: before.deleted + deleted,
  });
}
