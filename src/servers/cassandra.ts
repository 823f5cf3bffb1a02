import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { freePort } from "./free-port.ts";
import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";
import { mavenFolder } from "./maven.ts";

/** Options of a local node. */
export interface CassandraOptions {
  readonly version?: string;
  /** Password authentication and authorization, with the superuser cassandra/cassandra. */
  readonly passwords?: boolean;
  /** The certificate chain and private key as PEM. If set, clients must use TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly dataCenter?: string;
  readonly tokens?: number;
  /**
   * A node whose cluster the new node joins. Both have the same ports, so the new one needs another host, such as
   * `127.0.0.2`.
   */
  readonly join?: LocalCassandra;
  readonly host?: string;
  /** For measurements: full JIT compilation and more memory. The start is slower. */
  readonly tuned?: boolean;
  /** Settings of cassandra.yaml; they override ours. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** Starts took 9 to 18 s on two cores. */
const startMilliseconds = 120_000;
const defaultVersion = "5.0.9";

/** The parts of Java 17 that Cassandra needs and that modules do not export by default. */
const javaFlags = [
  ...[
    "java.base/jdk.internal.misc",
    "java.rmi/sun.rmi.transport.tcp",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
  ].map((name) => `--add-exports=${name}=ALL-UNNAMED`),
  ...[
    "sun.nio.ch",
    "java.io",
    "java.lang",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.misc",
    "jdk.internal.ref",
  ].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`),
  ...["-XX:+UseSerialGC", "-Djava.io.tmpdir=tmp"],
  ...["-Dcassandra-foreground=yes", "-Dcassandra.ring_delay_ms=1000", "-Dcassandra.superuser_setup_delay_ms=0"],
  "-Dcassandra.skip_wait_for_gossip_to_settle=0",
];

/** Most nodes live briefly, so a quick start matters more than speed later. */
const speedFlags = { quick: ["-Xmx512M", "-XX:TieredStopAtLevel=1"], tuned: ["-Xms2G", "-Xmx2G"] } as const;

const logback = `<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%-5level %msg%n</pattern></encoder></appender><root level="INFO"><appender-ref ref="OUT"/></root></configuration>`;

/** A Cassandra node. SIGTERM drains it and stops it in good order; SIGKILL is a crash. */
export interface LocalCassandra extends LocalServer {
  /** The port for the other nodes of the cluster. */
  readonly storagePort: number;
}

/** Starts a node. Throws `CONFIGURATION_INVALID` if Java or Maven is missing, or the node does not start. */
export async function launchCassandra(options: CassandraOptions = {}): Promise<LocalCassandra> {
  const { version = defaultVersion, host = "127.0.0.1", join: other, signal } = options;
  const jars = await mavenFolder(`cassandra-${version}`, [`org.apache.cassandra:cassandra-all:${version}`], signal);
  const storagePort = other?.storagePort ?? (await freePort());
  const hasSuperuser = (options.passwords ?? false) && other === undefined;
  const node = await launch({
    title: "Cassandra",
    name: "cassandra",
    hint: "Install Java 17 and Maven, and free about 700 MB of memory; or name a running server.",
    host,
    ...(other === undefined ? {} : { port: other.port }),
    startMilliseconds,
    signals: { stop: "SIGTERM", kill: "SIGKILL" },
    signal,
    async program(place) {
      await layFiles(place, storagePort, options);
      return program(place, jars, version, options);
    },
    isReady: (place) => isReady(place, hasSuperuser, options.tls !== undefined),
    reason: lastLines,
  });
  return { ...node, storagePort };
}

/**
 * Whether the node's log says that it listens, and that the superuser was created. The node logs this just before it
 * listens, so the port is checked too; its first TLS handshakes may break.
 */
async function isReady({ host, port, folder }: Place, hasSuperuser: boolean, hasTls: boolean): Promise<boolean> {
  try {
    const log = await readFile(join(folder, "server.log"), "utf8");
    if (!log.includes("Starting listening for CQL clients")) return false;
    if (hasSuperuser && !/Created default superuser|role 'cassandra'/.test(log)) return false;
    return await listens(host, port, hasTls);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

function listens(host: string, port: number, hasTls: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = hasTls ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once(hasTls ? "secureConnect" : "connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function layFiles({ host, port, folder }: Place, storagePort: number, options: CassandraOptions): Promise<void> {
  const passwords = options.passwords ?? false;
  await mkdir(join(folder, "conf"));
  await mkdir(join(folder, "tmp"));
  const settings = {
    cluster_name: "headwaters",
    num_tokens: options.tokens ?? 16,
    partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
    authenticator: passwords ? "PasswordAuthenticator" : "AllowAllAuthenticator",
    authorizer: passwords ? "CassandraAuthorizer" : "AllowAllAuthorizer",
    role_manager: "CassandraRoleManager",
    // Grants and roles take effect at once, not after two seconds.
    ...{ roles_validity: "0ms", permissions_validity: "0ms", credentials_validity: "0ms" },
    data_file_directories: [join(folder, "data")],
    commitlog_directory: join(folder, "commitlog"),
    saved_caches_directory: join(folder, "caches"),
    hints_directory: join(folder, "hints"),
    cdc_raw_directory: join(folder, "cdc"),
    cdc_enabled: false,
    commitlog_sync: "periodic",
    commitlog_sync_period: "10000ms",
    seed_provider: [
      {
        class_name: "org.apache.cassandra.locator.SimpleSeedProvider",
        parameters: [{ seeds: `${options.join?.host ?? host}:${storagePort}` }],
      },
    ],
    storage_port: storagePort,
    native_transport_port: port,
    listen_address: host,
    rpc_address: host,
    endpoint_snitch: "GossipingPropertyFileSnitch",
    auto_bootstrap: false,
    auto_snapshot: false,
    read_request_timeout: "30s",
    range_request_timeout: "30s",
    write_request_timeout: "30s",
    ...(options.tls === undefined ? {} : { client_encryption_options: await layTls(folder, options.tls) }),
    ...options.settings,
  };
  await writeFile(join(folder, "conf", "cassandra.yaml"), stringify(settings));
  await writeFile(join(folder, "conf", "logback.xml"), logback);
  await writeFile(
    join(folder, "conf", "cassandra-rackdc.properties"),
    `dc=${options.dataCenter ?? "datacenter1"}\nrack=rack1\n`,
  );
}

async function layTls(folder: string, { certificate, key }: NonNullable<CassandraOptions["tls"]>): Promise<object> {
  const file = join(folder, "conf", "node.pem");
  await writeFile(file, `${key}\n${certificate}`, { mode: 0o600 });
  return {
    enabled: true,
    optional: false,
    keystore: file,
    ssl_context_factory: { class_name: "org.apache.cassandra.security.PEMBasedSslContextFactory" },
  };
}

function program(
  { folder }: Place,
  jars: string,
  version: string,
  { tuned = false }: CassandraOptions,
): { command: string; arguments: string[]; environment: Record<string, string> } {
  const conf = join(folder, "conf");
  // Cassandra 4.1 measures objects with a Java agent, which must be loaded at the start.
  const agent = version.startsWith("4.") ? [`-javaagent:${join(jars, "jamm-0.3.2.jar")}`] : [];
  return {
    command: "java",
    arguments: [
      ...agent,
      ...javaFlags,
      ...speedFlags[tuned ? "tuned" : "quick"],
      `-Dcassandra.config=${pathToFileURL(join(conf, "cassandra.yaml")).href}`,
      `-Dcassandra.storagedir=${folder}`,
      `-Dlogback.configurationFile=${join(conf, "logback.xml")}`,
      ...["-cp", `${conf}${delimiter}${join(jars, "*")}`, "org.apache.cassandra.service.CassandraDaemon"],
    ],
    environment: serverEnvironment("JAVA_HOME", "HOME"),
  };
}

/** The lines of a log that show why the node ended. */
function lastLines(log: string): string {
  const lines = log.trim().split("\n");
  const errors = lines.filter((line) => /^(ERROR|Exception|Caused by|Error)/.test(line));
  return (errors.length > 0 ? errors : lines).slice(-5).join("\n");
}
