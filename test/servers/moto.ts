import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { freePort } from "../../src/servers/free-port.ts";
import { pythonPackages } from "./python-packages.ts";
import { MissingServer } from "./require.ts";

/** A storage that speaks S3 on 127.0.0.1, with one empty bucket; it keeps all in memory. */
export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:…` */
  readonly endpoint: string;
  readonly bucket: string;
}

const startMilliseconds = 60_000;

/** Throws `MissingServer`: see `describeWith`. */
export async function startMoto(): Promise<S3Server> {
  const python = await pythonPackages("moto[server,s3]==5.2.5");
  const port = await freePort();
  const child = spawn(python.command, ["-m", "moto.server", "--host", "127.0.0.1", "--port", String(port)], {
    env: { ...process.env, ...python.environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = "lake";
  const deadline = Date.now() + startMilliseconds;
  while (!(await answers(`${endpoint}/${bucket}`))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill();
      throw new MissingServer(`moto did not start: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    endpoint,
    bucket,
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}

/** Makes the bucket, as soon as somebody listens. */
async function answers(bucket: string): Promise<boolean> {
  return fetch(bucket, { method: "PUT" }).then(
    ({ ok }) => ok,
    () => false,
  );
}
