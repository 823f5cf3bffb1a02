import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { goProgram } from "../../src/servers/go-program.ts";
import { orMissing } from "../servers/require.ts";

const run = promisify(execFile);
const folder = fileURLToPath(new URL("../../src/fivetran", import.meta.url));

/** Calls a method of the protocol, as anyone would from a shell; resolves to the messages of the answer. */
export type Grpcurl = (address: string, method: string, request: object) => Promise<Record<string, unknown>[]>;

/** The grpcurl of this machine, else one that Go makes. Throws {@link MissingServer}. */
export async function findGrpcurl(): Promise<Grpcurl> {
  const program = await find();
  return async (address, method, request) => {
    const given = ["-plaintext", "-import-path", folder, "-proto", "connector.proto", "-d", JSON.stringify(request)];
    const name = `fivetran_sdk.v2.SourceConnector/${method}`;
    const { stdout } = await run(program, [...given, address, name], { maxBuffer: 64 << 20 });
    // One indented document after the other.
    const documents = stdout.trim().split(/(?<=^\})\n(?=\{$)/m);
    return documents.map((document) => JSON.parse(document) as Record<string, unknown>);
  };
}

async function find(): Promise<string> {
  try {
    await run("grpcurl", ["-version"]);
    return "grpcurl";
  } catch {
    // Not on the path: Go makes one.
  }
  return orMissing(goProgram("grpcurl", "grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4"));
}
