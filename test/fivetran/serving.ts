import { Redactor } from "../../src/cli/redact.ts";
import { servedSource } from "../../src/cli/served-source.ts";
import { fivetranLog } from "../../src/fivetran/log.ts";
import { startServer } from "../../src/fivetran/server.ts";
import type { SourceDefinition } from "../../src/protocol/source.ts";

/** A server in this process, and what it logs. */
export interface Serving extends AsyncDisposable {
  readonly address: string;
  /** Lines as they went to standard output. */
  readonly lines: readonly string[];
}

export async function serve(definition: SourceDefinition): Promise<Serving> {
  const redactor = new Redactor();
  const lines: string[] = [];
  const served = servedSource(definition, redactor);
  const log = fivetranLog((line) => lines.push(line), served.redact, false);
  const server = await startServer(served, { host: "127.0.0.1", port: 0 }, log);
  return {
    address: `127.0.0.1:${server.port}`,
    lines,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
