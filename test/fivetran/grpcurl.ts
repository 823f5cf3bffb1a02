import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cachedFolder } from "../../src/servers/cached-folder.ts";
import { MissingServer } from "../servers/require.ts";

const run = promisify(execFile);
const version = "v1.9.4";
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
  try {
    const folder = await cachedFolder("go", `grpcurl-${version}`, (folder) =>
      run("go", ["install", `github.com/fullstorydev/grpcurl/cmd/grpcurl@${version}`], {
        env: { ...process.env, GOBIN: folder },
      }),
    );
    return join(folder, process.platform === "win32" ? "grpcurl.exe" : "grpcurl");
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new MissingServer(`grpcurl is not on the path, and Go can't make it: ${reason}`);
  }
}
