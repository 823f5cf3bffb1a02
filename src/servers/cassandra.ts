import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { asHeadwatersError, HeadwatersError } from "../protocol/errors.ts";
import { cassandraJars } from "./cassandra-jars.ts";
import { freePort } from "./free-port.ts";
import { Keeper } from "./keeper.ts";

/** How a local node differs from the usual one. */
export interface CassandraOptions {
  readonly version?: string;
  /** Password authentication and authorization, with the superuser cassandra/cassandra. */
  readonly passwords?: boolean;
  /** Certificate chain and private key as PEM: clients must use TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  readonly dataCenter?: string;
  readonly tokens?: number;
  /** Joins the cluster of this node: it has the same ports, so its host is another, as `127.0.0.2`. */
  readonly join?: LocalCassandra;
  readonly host?: string;
  /** Compiles all that it can and has more memory: for measuring. Starts slower. */
  readonly tuned?: boolean;
  /** Settings of cassandra.yaml, over ours. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** Seen: 9 to 18 s on two cores. */
const startMilliseconds = 120_000;
const defaultVersion = "5.0.9";

/** What Cassandra needs of Java 17 beyond what modules export by themselves. */
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

/** Most nodes do not live long: a start is worth more than a fast hour. */
const speedFlags = { quick: ["-Xmx512M", "-XX:TieredStopAtLevel=1"], tuned: ["-Xms2G", "-Xmx2G"] } as const;

const logback = `<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%-5level %msg%n</pattern></encoder></appender><root level="INFO"><appender-ref ref="OUT"/></root></configuration>`;

/**
 * A Cassandra node of our own in a temporary folder, on a loopback address and free ports. It ends, and its folder
 * goes, when it is disposed or when this process ends in whatever way.
 */
export class LocalCassandra implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly storagePort: number;
  readonly #kept: ConstructorParameters<typeof Keeper>[0];
  readonly #passwords: boolean;
  #keeper: Keeper | null = null;

  private constructor(
    address: Pick<LocalCassandra, "host" | "port" | "storagePort">,
    passwords: boolean,
    kept: ConstructorParameters<typeof Keeper>[0],
  ) {
    this.host = address.host;
    this.port = address.port;
    this.storagePort = address.storagePort;
    this.#passwords = passwords;
    this.#kept = kept;
  }

  /** Throws `CONFIGURATION_INVALID` where Java or Maven is missing, or the node does not start. */
  static async start(options: CassandraOptions = {}): Promise<LocalCassandra> {
    const version = options.version ?? defaultVersion;
    const jars = await cassandraJars(version, options.signal);
    const folder = await mkdtemp(join(tmpdir(), "headwaters-cassandra-"));
    try {
      const host = options.host ?? "127.0.0.1";
      const port = options.join?.port ?? (await freePort());
      const storagePort = options.join?.storagePort ?? (await freePort());
      await layFiles(folder, { host, port, storagePort }, options);
      const passwords = (options.passwords ?? false) && options.join === undefined;
      const node = new LocalCassandra({ host, port, storagePort }, passwords, kept(folder, jars, version, options));
      await node.start(options.signal);
      return node;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      options.signal?.throwIfAborted();
      throw new HeadwatersError(
        "CONFIGURATION_INVALID",
        `Cassandra did not start: ${asHeadwatersError(error).message}`,
        {
          hint: "It needs Java 17, Maven and about 700 MB of memory; or name a server that runs.",
          cause: error,
        },
      );
    }
  }

  /** Starts the node, again after `stop`, on the same ports and data. */
  async start(signal?: AbortSignal): Promise<void> {
    await rm(this.#kept.log, { force: true });
    const keeper = new Keeper(this.#kept);
    this.#keeper = keeper;
    let code: number | null = null;
    const ended = keeper.ended.then((ended) => (code = ended));
    const deadline = Date.now() + startMilliseconds;
    while (!(await this.#isReady())) {
      if (signal?.aborted || code !== null || Date.now() > deadline) {
        if (code === null) await keeper.stop("SIGKILL");
        signal?.throwIfAborted();
        throw new Error(`${lastLines(await readFile(this.#kept.log, "utf8"))} (exit code ${code})`);
      }
      await Promise.race([delay(50), ended]);
    }
  }

  /** SIGTERM drains and shuts down in good order, SIGKILL is a crash. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#keeper?.stop(signal);
    this.#keeper = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#keeper === null) await rm(this.#kept.folder, { recursive: true, force: true });
    else await this.#keeper.close();
    this.#keeper = null;
  }

  /** The node's own word (and that the superuser is made), which it gives just before it listens. */
  async #isReady(): Promise<boolean> {
    try {
      const log = await readFile(this.#kept.log, "utf8");
      if (!log.includes("Starting listening for CQL clients")) return false;
      if (this.#passwords && !/Created default superuser|role 'cassandra'/.test(log)) return false;
      return await listens(this.host, this.port);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
      throw error;
    }
  }
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

async function layFiles(
  folder: string,
  { host, port, storagePort }: Pick<LocalCassandra, "host" | "port" | "storagePort">,
  options: CassandraOptions,
): Promise<void> {
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
    // Grants and roles show at once, not after two seconds.
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

function kept(
  folder: string,
  jars: string,
  version: string,
  { tuned = false }: CassandraOptions,
): ConstructorParameters<typeof Keeper>[0] {
  const conf = join(folder, "conf");
  // 4.1 measures objects by an agent that must be there from the start.
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
    environment: environment(),
    folder,
    log: join(folder, "node.log"),
    lastSignal: "SIGKILL",
    account: null,
  };
}

/** No variable of ours reaches the node. */
function environment(): Record<string, string> {
  const kept: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const name of ["PATH", "JAVA_HOME", "SystemRoot", "TEMP", "TMP", "HOME"]) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** What a log says of why the node ended. */
function lastLines(log: string): string {
  const lines = log.trim().split("\n");
  const errors = lines.filter((line) => /^(ERROR|Exception|Caused by|Error)/.test(line));
  return (errors.length > 0 ? errors : lines).slice(-5).join("\n");
}
