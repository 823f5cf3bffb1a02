import process from "node:process";
import { getAsset } from "node:sea";
import { parseArgs } from "node:util";
import { asHeadwatersError } from "../protocol/errors.ts";
import { sources } from "../sources/index.ts";
import { showError } from "./errors.ts";
import { exitCode } from "./exit-codes.ts";
import { Output } from "./output.ts";
import { Redactor } from "./redact.ts";
import { defaultPort, serveSource } from "./serve-source.ts";

/**
 * The main program of the single executable, which Fivetran starts as `headwaters-… --port N`. It is `headwaters serve`
 * for the source that the executable was built for. It listens on all addresses, as Fivetran requires.
 */
async function main(): Promise<void> {
  const output = new Output(process.stdout, process.stderr, process.env, new Redactor(Object.keys(sources)));
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop.abort());
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: defaultPort },
        host: { type: "string", default: "::" },
        "log-level": { type: "string", default: "info" },
      },
    });
    const definition = await sources[getAsset("source", "utf8")]!.load();
    const { port, host, "log-level": level } = values;
    await serveSource(definition, { port, host, debug: level === "debug" }, output, stop.signal);
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    showError(output, error);
    process.exitCode = exitCode(error.remedy);
  }
}

void main();
