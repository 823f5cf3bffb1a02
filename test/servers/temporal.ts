import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "@temporalio/client";
import { launchTemporal } from "../../src/servers/temporal.ts";
import { orMissing } from "./require.ts";

/** A server of Temporal with the namespace `default`. */
export interface TemporalServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  /** Kills it and starts it again with what it has kept; `null`: it is one that the environment names. */
  readonly restart: (() => Promise<void>) | null;
}

/** The server at HEADWATERS_TEST_TEMPORAL, else one that Go builds once a machine. Throws `MissingServer`. */
export async function startTemporal(): Promise<TemporalServer> {
  const given = process.env["HEADWATERS_TEST_TEMPORAL"];
  if (given !== undefined && given !== "")
    return { address: given, restart: null, [Symbol.asyncDispose]: async () => {} };
  const server = await orMissing(launchTemporal());
  const address = `${server.host}:${server.port}`;
  await registerNamespace(address);
  return {
    address,
    async restart() {
      await server.stop("SIGKILL");
      await server.start();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** It listens before it can take a namespace, and that is known to all of it a moment later. */
async function registerNamespace(address: string): Promise<void> {
  const connection = await Connection.connect({ address });
  const { workflowService } = connection;
  const until = async (work: () => Promise<unknown>): Promise<void> => {
    for (const deadline = Date.now() + 60_000; ;) {
      try {
        await work();
        return;
      } catch (thrown) {
        if (Date.now() > deadline) throw thrown;
        await delay(200);
      }
    }
  };
  try {
    const retention = { seconds: 86_400 };
    await until(() =>
      workflowService.registerNamespace({ namespace: "default", workflowExecutionRetentionPeriod: retention as never }),
    );
    await until(() => workflowService.listOpenWorkflowExecutions({ namespace: "default", maximumPageSize: 1 }));
  } finally {
    await connection.close();
  }
}
