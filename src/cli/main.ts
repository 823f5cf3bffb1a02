#!/usr/bin/env node
import { writeSync } from "node:fs";
import module from "node:module";
import process from "node:process";
import type { Environment } from "./environment.ts";

// Node.js 22.1 and later keep compiled code between starts. This works only for modules that are loaded after this
// call, so the program is imported below.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();

/** If the reader of the output ends early (`| head`), the sync goes on, and its further output is dropped. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    end(`the output can't be written (${error.code ?? error.message})`);
  });
}

/** Ends the process where no command can report the error. What a sync has committed is kept. */
function end(message: string): never {
  try {
    writeSync(process.stderr.fd, `error ${message}.\n`);
  } catch {
    // Standard error can't be written either, so only the exit code is left.
  }
  process.exit(2);
}

function currentFolder(): string {
  try {
    return process.cwd();
  } catch (thrown) {
    return end(`the current folder can't be used (${(thrown as NodeJS.ErrnoException).code}); change to another one`);
  }
}

const environment: Environment = {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  variables: process.env,
  folder: currentFolder(),
  onStop(callback) {
    const signals = ["SIGINT", "SIGTERM"] as const;
    for (const signal of signals) process.on(signal, callback);
    return () => {
      for (const signal of signals) process.off(signal, callback);
    };
  },
  exit: (code) => process.exit(code),
  exitCode: 0,
};

const { run } = await import("./program.ts");
await run(process.argv.slice(2), environment);
process.exitCode = environment.exitCode;
