import { expect } from "vitest";
import type { SyncEvent } from "../../src/engine/events.ts";
import { follow } from "../../src/engine/run/follow.ts";
import type { Warehouse } from "../../src/protocol/destination.ts";
import type { Source, SourceCapabilities } from "../../src/protocol/source.ts";
import type { RunRecord } from "../../src/protocol/state-store.ts";
import type { Copy } from "./harness.ts";

export const soon = { timeout: 40_000, interval: 50 };

/** What is otherwise than usual. */
export interface Wrapped {
  readonly wrapSource?: (source: Source) => Source;
  readonly wrap?: (warehouse: Warehouse) => Warehouse;
}

/** A copy that is followed until this is disposed. */
export class FollowedCopy implements AsyncDisposable {
  readonly events: SyncEvent[] = [];
  readonly said = { warnings: [] as string[] };
  readonly #copy: Copy;
  readonly #stop = new AbortController();
  readonly #ended: Promise<RunRecord>;

  constructor(
    copy: Copy,
    capabilities: SourceCapabilities,
    open: (said: { readonly warnings: string[] }) => Promise<Source>,
    { wrapSource, wrap }: Wrapped = {},
  ) {
    this.#copy = copy;
    this.#ended = (async () => {
      await using source = await open(this.said);
      await using warehouse = await copy.open();
      const configured = {
        capabilities,
        settings: { deletes: "never", commitMilliseconds: 300, followMilliseconds: 100, followInterval: 1_000 },
      } as const;
      const connection = copy.connection(wrapSource?.(source) ?? source, wrap?.(warehouse) ?? warehouse, configured);
      return await follow(connection, { signal: this.#stop.signal }, (event) => void this.events.push(event));
    })();
    this.#ended.catch(() => {});
  }

  /** The rows of a table once they are these. */
  async expectRows(rows: Readonly<Record<number, string>>, table = "t"): Promise<void> {
    await expect.poll(() => this.#copy.rows(table).catch(String), soon).toEqual(rows);
  }

  get warnings(): string {
    return [...this.said.warnings, ...this.#copy.warnings].join("\n");
  }

  /** The passes that were made of a table. */
  passes(table = "t"): readonly string[] {
    return this.events.flatMap((event) => (event.kind === "pass" && event.table === table ? event.pass : []));
  }

  async stop(): Promise<RunRecord> {
    this.#stop.abort();
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
