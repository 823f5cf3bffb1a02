import protobuf from "protobufjs";
import { z } from "zod";
import type { MessageStream } from "../../src/fivetran/response-stream.ts";
import { loadProtocol, type UpdateRequest } from "../../src/fivetran/protocol.ts";
import type { ServedSource } from "../../src/fivetran/served-source.ts";
import { update } from "../../src/fivetran/update.ts";
import type { SourceCapabilities, SourceDefinition } from "../../src/protocol/source.ts";
import type { MemorySource } from "../engine/memory-source.ts";

const { root } = protobuf.loadSync(new URL("../../src/fivetran/connector.proto", import.meta.url).pathname);
const response = root.lookupType("fivetran_sdk.v2.UpdateResponse");
const protocol = loadProtocol();

type Value = Readonly<Record<string, unknown>>;

interface Record_ {
  readonly tableName: string;
  readonly type?: number;
  readonly data: Readonly<Record<string, Value>>;
}

interface Message {
  readonly records?: { readonly records: readonly Record_[] };
  readonly checkpoint?: { readonly stateJson: string };
  readonly schemaChange?: object;
  readonly warning?: { readonly message: string };
  readonly task?: { readonly message: string };
}

/** One row of a copy. */
interface Row {
  readonly data: Readonly<Record<string, Value>>;
  readonly deleted: boolean;
}

export interface SyncHow {
  /** The client goes away at the message of this number. */
  readonly messages?: number;
  /** Whether it then keeps what no checkpoint covers. */
  readonly keepAll?: boolean;
  readonly configuration?: Readonly<Record<string, string>>;
  readonly selection?: UpdateRequest["selection"];
  readonly capabilities?: Partial<SourceCapabilities>;
}

/** How a sync ended. */
export interface Synced {
  readonly messages: readonly Message[];
  readonly counts: Readonly<Record<"upsert" | "update" | "delete" | "truncate", number>>;
  readonly task: string | null;
  /** What `Update` threw. */
  readonly error: unknown;
  /** Everything was sent, and nothing failed. */
  readonly ended: boolean;
}

const kinds = ["upsert", "update", "delete", "truncate"] as const;

/** What Fivetran does with the messages of `Update`, in memory; the key of every table is `id`. */
export class MemoryFivetran {
  state = "";
  readonly lines: string[] = [];
  #rows = new Map<string, Row>();

  async sync(source: MemorySource, how: SyncHow = {}): Promise<Synced> {
    const gone = new AbortController();
    const messages: Message[] = [];
    const counts = { upsert: 0, update: 0, delete: 0, truncate: 0 };
    let durable = new Map(this.#rows);
    const stream: MessageStream = {
      write: (bytes, done) => {
        if (gone.signal.aborted) return false;
        const message = response.toObject(response.decode(bytes), { longs: String, objects: true }) as Message;
        messages.push(message);
        for (const record of message.records?.records ?? []) {
          counts[kinds[record.type ?? 0]!] += 1;
          this.#take(record);
        }
        if (message.checkpoint !== undefined) {
          this.state = message.checkpoint.stateJson;
          durable = new Map(this.#rows);
        }
        if (messages.length === how.messages) gone.abort(new Error("the client is gone"));
        queueMicrotask(() => done());
        return true;
      },
    };
    const log = {
      debug: () => {},
      info: () => {},
      warn: () => {},
      severe: (line: string) => void this.lines.push(line),
    };
    const request: UpdateRequest = {
      configuration: how.configuration ?? {},
      stateJson: this.state,
      ...(how.selection === undefined ? {} : { selection: how.selection }),
    };
    const stopping = new AbortController().signal;
    const served = servedMemory(source, how.capabilities ?? {});
    let error: unknown = null;
    try {
      await update(request, { served, protocol, log, stream, gone: gone.signal, stopping });
    } catch (thrown) {
      error = thrown;
    }
    if (gone.signal.aborted && how.keepAll !== true) this.#rows = durable;
    const task = messages.find((message) => message.task !== undefined)?.task?.message ?? null;
    return { messages, counts, task, error, ended: error === null && task === null && !gone.signal.aborted };
  }

  /** Rows that are not deleted, as `id → name`. */
  rows(table = "t"): Record<string, unknown> {
    const found = [...this.#rows].filter(([name, { deleted }]) => name.startsWith(`${table} `) && !deleted);
    return Object.fromEntries(found.map(([, { data }]) => [data["id"]!["int"], data["name"]?.["string"]]));
  }

  #take({ tableName, type = 0, data }: Record_): void {
    const key = `${tableName} ${JSON.stringify(data["id"])}`;
    const known = this.#rows.get(key);
    if (type === 0) this.#rows.set(key, { data, deleted: false });
    else if (type === 1 && known !== undefined) this.#rows.set(key, { ...known, data: { ...known.data, ...data } });
    else if (type === 2 && known !== undefined) this.#rows.set(key, { ...known, deleted: true });
    else if (type === 3) {
      for (const [name, row] of this.#rows) {
        if (name.startsWith(`${tableName} `)) this.#rows.set(name, { ...row, deleted: true });
      }
    }
  }
}

function servedMemory(source: MemorySource, capabilities: Partial<SourceCapabilities>): ServedSource {
  const definition: SourceDefinition = {
    name: "memory",
    title: "Memory",
    configuration: z.object({}),
    capabilities: {
      passes: ["full", "window", "keys"],
      independentPath: false,
      schema: "declared",
      ...capabilities,
    },
    scope: () => "s",
    schema: () => "s",
    open: async () => source,
  };
  return { definition, settings: [], configure: () => ({}), hide: () => {}, redact: (text) => text };
}
