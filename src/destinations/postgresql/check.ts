import { asHeadwatersError, HeadwatersError } from "../../protocol/errors.ts";
import type { DestinationContext } from "../../protocol/destination.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { failedCheck, failedConnect } from "../../toolkit/checks.ts";
import { escapeIdentifier } from "../../wire/postgres/literals.ts";
import { kept, keptTables } from "../sql/kept.ts";
import { keptVersion } from "../sql/opening.ts";
import { bookkeepingSchema } from "../sql/names.ts";
import type { Configuration } from "./config.ts";
import { describeServer } from "./server.ts";
import { Session } from "./session.ts";

const encryption: Readonly<Record<Session["tls"], Pick<CheckResult, "status" | "message">>> = {
  verified: { status: "ok", message: "The connection is encrypted, and the certificate was verified." },
  unverified: {
    status: "warning",
    message:
      'The connection is encrypted, but the certificate was not verified: set sslmode to "verify-full" and sslrootcert.',
  },
  none: {
    status: "warning",
    message: 'The connection is not encrypted: set sslmode to "verify-full" and sslrootcert, or to "require".',
  },
};

/**
 * Runs the checks one after the other, and ends with the first one that fails. Schemas and tables that a check creates
 * to test a privilege are rolled back.
 */
export async function* checkDestination(
  configuration: Configuration,
  context: DestinationContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult, void> {
  const { host, port, user, database, sslmode } = configuration;
  const labels = {
    connect: `Connect to ${host}:${port}`,
    tls: `TLS (sslmode ${sslmode})`,
    login: `Log in as ${user}`,
    database: `Open database ${database}`,
  };
  let opened: Session;
  try {
    opened = await Session.open(configuration, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    // Unless TLS is demanded, it is not known whether there was any.
    yield* failedConnect(labels, asHeadwatersError(thrown), "tls");
    return;
  }
  await using session = opened;
  yield { name: "connect", label: labels.connect, status: "ok", message: "The server answers." };
  yield { name: "tls", label: labels.tls, ...encryption[session.tls] };
  yield { name: "login", label: labels.login, status: "ok", message: "The login works." };
  yield { name: "database", label: labels.database, status: "ok", message: "The database exists." };
  for (const look of looks(session, configuration, context)) {
    const result = await looked(session, look);
    yield result;
    if (result.status === "failed") return;
  }
}

function looks(session: Session, { user, database }: Configuration, context: DestinationContext): readonly Look[] {
  const { quote } = session.dialect;
  const [role, where] = [escapeIdentifier(user), escapeIdentifier(database)];
  const schemaLook = (name: string, schema: string): Look => ({
    name,
    label: `Write to schema ${schema}`,
    look: () => mayWrite(session, context, schema),
    hint: `CREATE SCHEMA ${quote(schema)} AUTHORIZATION ${role}; or, if it exists, GRANT USAGE, CREATE ON SCHEMA ${quote(schema)} TO ${role};`,
  });
  return [
    {
      name: "version",
      label: "Version",
      look: async () => `PostgreSQL ${(await describeServer(session)).version}`,
    },
    {
      name: "temporary",
      label: "Make temporary tables",
      async look() {
        await session.run("CREATE TEMPORARY TABLE headwaters_check (a int)");
        return "The user may.";
      },
      hint: `GRANT TEMPORARY ON DATABASE ${where} TO ${role};`,
    },
    schemaLook("bookkeeping", bookkeepingSchema),
    schemaLook("schema", context.schema),
    { name: "copies", label: "Tables of this connection", look: () => mayAlter(session, context, user) },
  ];
}

interface Look {
  readonly name: string;
  readonly label: string;
  /** Resolves to the message for the user. */
  look(): Promise<string>;
  /** The statement that grants the missing privilege. */
  readonly hint?: string;
}

/** Runs a check in a transaction that is rolled back. */
async function looked(session: Session, { name, label, look, hint }: Look): Promise<CheckResult> {
  await session.run("BEGIN");
  try {
    return { name, label, status: "ok", message: await look() };
  } catch (thrown) {
    const error = asHeadwatersError(thrown);
    const granted = error.code === "PRIVILEGE_MISSING" && hint !== undefined;
    return failedCheck(name, label, granted ? new HeadwatersError(error.code, error.message, { hint }) : error);
  } finally {
    await session.rollback();
  }
}

async function mayWrite(session: Session, { connection }: DestinationContext, schema: string): Promise<string> {
  const { quote, relation } = session.dialect;
  const [row] = await session.rows("SELECT to_regnamespace($1) IS NOT NULL AS found", [quote(schema)]);
  const there = row!["found"] === "t";
  if (!there) await session.run(`CREATE SCHEMA ${quote(schema)}`);
  await session.run(`CREATE TABLE ${relation(schema, "headwaters_check")} (a int)`);
  if (schema === bookkeepingSchema && (await keptVersion(session)) !== null) {
    for (const table of keptTables) {
      const own = kept(session, table, connection);
      // The next sync creates tables that an older Headwaters did not have.
      const [found] = await session.rows("SELECT to_regclass($1) IS NOT NULL AS found", [own]);
      if (found!["found"] !== "t") continue;
      await session.run(`INSERT INTO ${own} SELECT * FROM ${own} WHERE false`);
      await session.run(`DELETE FROM ${own} WHERE false`);
    }
  }
  return there ? "The user may write there." : "It is not there yet; the user may make it.";
}

/** Changes of the source's columns alter the copy, and only the owner of a table may alter it. */
async function mayAlter(session: Session, { connection }: DestinationContext, user: string): Promise<string> {
  if ((await keptVersion(session)) === null) return "There are none yet.";
  const foreign = await session.rows(
    `SELECT format('%I.%I', k.schema_name, k.table_name) AS relation FROM ${kept(session, "copies", connection)} k
      JOIN pg_namespace n ON n.nspname = k.schema_name
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = k.table_name
      WHERE k.connection = $1 AND NOT pg_has_role(c.relowner, 'USAGE') LIMIT 5`,
    [connection],
  );
  if (foreign.length === 0) return "The user owns them.";
  const [first] = foreign;
  throw new HeadwatersError("PRIVILEGE_MISSING", `user "${user}" does not own ${first!["relation"]}`, {
    hint: `ALTER TABLE ${first!["relation"]} OWNER TO ${escapeIdentifier(user)};`,
  });
}
