import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { goProgram } from "./go-program.ts";
import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";

/** Temporal's server, which Go builds once a machine: in eight minutes on two idle cores. Throws `CONFIGURATION_INVALID`. */
function temporalProgram(): Promise<string> {
  return goProgram("Temporal's server", "temporal-server", "go.temporal.io/server/cmd/server", "v1.32.1");
}

/** Starts Temporal's server with what it keeps in a file of SQLite, so that it goes on after a kill. It has no namespace yet. */
export async function launchTemporal({ signal }: { readonly signal?: AbortSignal } = {}): Promise<LocalServer> {
  const command = await temporalProgram();
  return launch({
    title: "Temporal",
    name: "temporal",
    hint: "See its log for the reason.",
    startMilliseconds: 120_000,
    signals: { stop: "SIGTERM", kill: "SIGKILL" },
    signal,
    async program({ port, folder }) {
      const file = join(folder, "temporal.yaml");
      const ports = new Map<string, readonly number[]>();
      for (const service of services) ports.set(service, [await freePort(), await freePort()]);
      await writeFile(join(folder, "dynamic.yaml"), "{}\n");
      await writeFile(file, configuration(port, ports, folder));
      return {
        command,
        arguments: ["--config-file", file, "--allow-no-auth", "start"],
        environment: serverEnvironment(),
      };
    },
    isReady: listens,
    portTaken: /address already in use/,
    reason: (log) => /"error":"([^"]*)"/.exec(log)?.[1] ?? log.slice(-500),
  });
}

const services = ["frontend", "matching", "history", "worker"];

function configuration(port: number, ports: ReadonlyMap<string, readonly number[]>, folder: string): string {
  const store = (name: string): object => ({
    sql: {
      pluginName: "sqlite",
      databaseName: join(folder, `${name}.db`),
      connectAddr: "localhost",
      connectProtocol: "tcp",
      connectAttributes: { cache: "private", setup: "true", journal_mode: "wal", synchronous: "2" },
      maxConns: 1,
      maxIdleConns: 1,
      maxConnLifetime: "1h",
    },
  });
  const rpc = (service: string): object => {
    const [grpcPort, membershipPort] = ports.get(service)!;
    return { rpc: { grpcPort: service === "frontend" ? port : grpcPort, membershipPort, bindOnIP: "127.0.0.1" } };
  };
  // JSON is YAML.
  return JSON.stringify({
    log: { stdout: true, level: "warn" },
    persistence: {
      defaultStore: "default",
      visibilityStore: "visibility",
      numHistoryShards: 4,
      datastores: { default: store("default"), visibility: store("visibility") },
    },
    global: { membership: { maxJoinDuration: "30s", broadcastAddress: "127.0.0.1" } },
    services: Object.fromEntries(services.map((service) => [service, rpc(service)])),
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: "active",
      currentClusterName: "active",
      clusterInformation: {
        active: { enabled: true, initialFailoverVersion: 1, rpcName: "frontend", rpcAddress: `127.0.0.1:${port}` },
      },
    },
    dcRedirectionPolicy: { policy: "noop" },
    dynamicConfigClient: { filepath: join(folder, "dynamic.yaml"), pollInterval: "60s" },
  });
}

function listens({ host, port }: Place): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}
