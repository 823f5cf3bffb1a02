import type { Pool } from "../../net/pool.ts";
import type { HeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult, SourceContext } from "../../protocol/source.ts";
import { failedCheck, failedConnect, isLoopback } from "../../toolkit/checks.ts";
import type { ReqlConnection } from "../../wire/reql/connection.ts";
import { type Described, describeTable, listTables } from "./catalog.ts";
import type { Configuration } from "./config.ts";
import { discoverTable } from "./discover.ts";
import { explain } from "./errors.ts";

/** Checks one thing after the other, and stops at the first failure that prevents all further checks. */
export async function* checkSource(
  pool: Pool<ReqlConnection>,
  configuration: Configuration,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const { host, port, username, use_ssl: encrypted } = configuration;
  const labels = {
    connect: `Connect to ${host}:${port}`,
    tls: "TLS",
    login: `Log in as ${username}`,
  };
  let connection: ReqlConnection;
  try {
    connection = await pool.acquire(signal);
  } catch (thrown) {
    signal.throwIfAborted();
    yield* failedConnect(labels, explain(thrown, configuration), encrypted ? null : "tls");
    return;
  }
  try {
    yield { name: "connect", label: labels.connect, status: "ok", message: `RethinkDB ${connection.serverVersion}` };
    yield tlsResult(labels.tls, configuration);
    yield { name: "login", label: labels.login, status: "ok", message: "The login works." };
    yield* rights(username);
    yield* feeds(configuration);
    yield* checkTables(connection, configuration, context, signal);
  } finally {
    await pool.release(connection);
  }
}

function tlsResult(label: string, { host, use_ssl: encrypted }: Configuration): CheckResult {
  if (encrypted) return { name: "tls", label, status: "ok", message: "Encrypted, and the certificate is verified." };
  if (isLoopback(host))
    return { name: "tls", label, status: "ok", message: "Not encrypted; it does not leave this machine." };
  const message =
    "Not encrypted: anyone on the network path can read the data. Set use_ssl to true if the server has TLS.";
  return { name: "tls", label, status: "warning", message };
}

async function* checkTables(
  connection: ReqlConnection,
  configuration: Configuration,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const { database } = configuration;
  const label = `Database ${database}`;
  let names: readonly string[];
  try {
    names = await listTables(connection, database, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    yield failedCheck("database", label, explain(thrown, configuration));
    return;
  }
  if (names.length === 0) {
    yield {
      name: "database",
      label,
      status: "failed",
      message: "The database has no tables. Check the setting database.",
    };
    return;
  }
  yield { name: "database", label, status: "ok", message: `${names.length} table${names.length === 1 ? "" : "s"}` };
  const readable: Described[] = [];
  const refused: HeadwatersError[] = [];
  for (const name of names) {
    try {
      readable.push(await describeTable(connection, database, name, signal));
    } catch (thrown) {
      signal.throwIfAborted();
      refused.push(explain(thrown, { ...configuration, table: name }));
    }
  }
  yield privileges(readable.length, refused);
  for (const described of readable) yield* checkTable(connection, configuration, described, context, signal);
}

/** A user can't ask for its own permissions; only `admin` always has all. */
function* rights(username: string): Generator<CheckResult> {
  if (username !== "admin") return;
  const message =
    'User "admin" may do everything. Reading needs less: a user of its own, with grant("user", {read: true}) on the database.';
  yield { name: "rights", label: "Rights", status: "warning", message };
}

function* feeds({ changes }: Configuration): Generator<CheckResult> {
  if (changes === "cursor") return;
  const message =
    "headwaters follow listens to change feeds, which need only the permission read and keep nothing at the server. A sync finds changes by the timestamp.";
  yield { name: "stream", label: "Change stream", status: "ok", message };
}

function privileges(readable: number, refused: readonly HeadwatersError[]): CheckResult {
  const label = "Privileges";
  const [first] = refused;
  if (first === undefined)
    return { name: "privileges", label, status: "ok", message: "The user may read every table." };
  const others = refused.length > 1 ? ` The same holds for ${refused.length - 1} more.` : "";
  const message = `${first.message}.${others} ${first.hint ?? ""}`;
  return { name: "privileges", label, status: readable === 0 ? "failed" : "warning", message };
}

/** Notes for the user on how a table is read. */
async function* checkTable(
  connection: ReqlConnection,
  configuration: Configuration,
  described: Described,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const label = `Table ${described.name}`;
  try {
    const { notes } = await discoverTable(connection, configuration.database, described, context, [], signal);
    if (notes.length === 0) return;
    yield { name: `table ${described.name}`, label, status: "ok", message: notes.join(" ") };
  } catch (thrown) {
    signal.throwIfAborted();
    yield failedCheck(`table ${described.name}`, label, explain(thrown, { ...configuration, table: described.name }));
  }
}
