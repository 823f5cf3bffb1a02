import { asHeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult, SourceContext } from "../../protocol/source.ts";
import { failedCheck, failedConnect } from "../../toolkit/checks.ts";
import { connectPostgres, type PostgresConnection, type PostgresSettings } from "../../wire/postgres/connection.ts";
import { escapeIdentifier } from "../../wire/postgres/literals.ts";
import { type CatalogTable, loadCatalog } from "./catalog/catalog.ts";
import { checkRights } from "./check-rights.ts";
import { checkFilter } from "./statement/check-filter.ts";
import { type Configuration, follows } from "./config.ts";
import { assertSchema, grantSelect, largeRows } from "./discover.ts";
import { estimateRows } from "./catalog/estimate.ts";
import { describeServer, type Server, transactionWarnings } from "./server.ts";
import { checkStream } from "./stream/check-stream.ts";
import { hasIndexOn, shapeOf } from "./catalog/shape.ts";

/** Checks one thing after the other, and stops at the first failure that prevents all further checks. */
export async function* checkSource(
  settings: PostgresSettings,
  configuration: Configuration,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const labels = {
    connect: `Connect to ${settings.host}:${settings.port}`,
    tls: `TLS (sslmode ${configuration.sslmode})`,
    login: `Log in as ${settings.user}`,
    database: `Open database ${settings.database}`,
  };
  let connection: PostgresConnection;
  try {
    connection = await connectPostgres(settings, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // If TLS is optional, it is unknown whether this attempt used it.
    yield* failedConnect(labels, asHeadwatersError(thrown), "tls");
    return;
  }
  await using session = connection;
  const server = await describeServer(session, signal);
  yield { name: "connect", label: labels.connect, status: "ok", message: shortVersion(server) };
  yield { name: "tls", label: labels.tls, ...tlsState(session) };
  yield { name: "login", label: labels.login, status: "ok", message: "The login works." };
  yield { name: "database", label: labels.database, status: "ok", message: "The database exists." };
  yield* checkTables(session, server, configuration, context, signal);
}

async function* checkTables(
  connection: PostgresConnection,
  server: Server,
  configuration: Configuration,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const { schema, user, lag } = configuration;
  const label = `Schema ${schema}`;
  try {
    await assertSchema(connection, schema, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    yield failedCheck("schema", label, thrown);
    return;
  }
  yield { name: "schema", label, status: "ok", message: "The schema exists, and the user may use it." };
  const tables = await loadCatalog(connection, schema, null, signal);
  if (tables.length === 0) {
    const message = `The schema has no tables; views and foreign tables are not read. Check the setting schema.`;
    yield { name: "tables", label: "Tables", status: "failed", message };
    return;
  }
  yield { name: "tables", label: "Tables", status: "ok", message: counted(tables.length, "table") };
  yield checkPrivileges(tables, user);
  yield* checkRights(connection, tables, user, signal);
  if (follows(configuration, null)) yield checkStream(connection, configuration, server, signal);
  const warnings = transactionWarnings(server, user, lag);
  yield {
    name: "transactions",
    label: "Open transactions",
    status: warnings.length > 0 ? "warning" : "ok",
    message: warnings[0] ?? "The user sees when transactions began: late commits are not missed.",
  };
  yield* checkCost(tables, server, context);
  yield* checkFilters(connection, tables, context, signal);
}

/** Checks on the server the filters that the user set. */
async function* checkFilters(
  connection: PostgresConnection,
  tables: readonly CatalogTable[],
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const filtered = tables.filter(({ name }) => context.tables[name]?.filter !== undefined);
  if (filtered.length === 0) return;
  const label = "Filters";
  try {
    for (const table of filtered) await checkFilter(connection, shapeOf(table, context), signal);
    const names = filtered.map(({ name }) => `"${name}"`).join(", ");
    yield { name: "filters", label, status: "ok", message: `The server accepts the filters of ${names}.` };
  } catch (thrown) {
    signal.throwIfAborted();
    yield failedCheck("filters", label, thrown);
  }
}

function checkPrivileges(tables: readonly CatalogTable[], user: string): CheckResult {
  const label = "Privileges";
  const hidden = tables.filter((table) => table.columns.some((column) => !column.readable));
  const secured = tables.filter((table) => table.secured);
  const messages = [
    ...hidden.map(
      (table) => `User "${user}" may not read ${whatIsHidden(table)}: ${grantSelect(table.schema, table.name, user)}`,
    ),
    ...secured.map(
      (table) =>
        `Row-level security would hide rows of "${table.name}": ALTER ROLE ${escapeIdentifier(user)} BYPASSRLS; or exclude the table.`,
    ),
  ];
  if (messages.length === 0) {
    return { name: "privileges", label, status: "ok", message: "The user may read every column of every table." };
  }
  const unreadable = new Set([...hidden, ...secured]).size;
  // Tables that are not selected need no privilege, so this fails only if no table can be read.
  const status = unreadable === tables.length ? "failed" : "warning";
  return { name: "privileges", label, status, message: messages.join(" ") };
}

function whatIsHidden({ name, columns }: CatalogTable): string {
  const hidden = columns.filter((column) => !column.readable);
  if (hidden.length === columns.length) return `table "${name}"`;
  return `${hidden.map((column) => `"${column.name}"`).join(", ")} of table "${name}"`;
}

/** Reports what reading will cost the source, if that is much. */
function* checkCost(
  tables: readonly CatalogTable[],
  server: Server,
  context: SourceContext,
): Generator<CheckResult, void> {
  const label = "Cost";
  const messages: string[] = [];
  for (const table of tables) {
    const rows = estimateRows(table, server);
    if (rows === null || rows < largeRows) continue;
    let shape;
    try {
      shape = shapeOf(table, context);
    } catch (thrown) {
      yield failedCheck("options", `Settings of table ${table.name}`, thrown);
      continue;
    }
    if (shape.key.length === 0) messages.push(`"${table.name}" has no key and is read whole at each sync.`);
    else if (shape.cursor === null)
      messages.push(`"${table.name}" has no cursor column and is read whole at each sync.`);
    else if (!hasIndexOn(shape, shape.cursor)) {
      messages.push(`"${table.name}" has no index on ${shape.cursor}: each sync reads all of it to find what changed.`);
    }
  }
  if (messages.length > 0) yield { name: "cost", label, status: "warning", message: messages.join(" ") };
  else yield { name: "cost", label, status: "ok", message: "Every large table has an index on its cursor column." };
}

function tlsState({ tls }: PostgresConnection): Pick<CheckResult, "status" | "message"> {
  switch (tls) {
    case "verified":
      return { status: "ok", message: "The connection is encrypted, and the certificate was verified." };
    case "unverified":
      return {
        status: "warning",
        message:
          'The connection is encrypted, but the certificate was not verified: set sslmode to "verify-full" and sslrootcert.',
      };
    case "none":
      return {
        status: "warning",
        message: 'The connection is not encrypted: set sslmode to "verify-full" and sslrootcert, or to "require".',
      };
  }
}

function shortVersion({ version }: Server): string {
  return /^\S+ \S+/.exec(version)?.[0] ?? version;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}.`;
}
