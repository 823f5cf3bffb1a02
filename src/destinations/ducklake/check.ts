import { statfs } from "node:fs/promises";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { bookkeepingSchema } from "../sql/names.ts";
import { quote } from "../duckdb/dialect.ts";
import type { Session } from "../duckdb/session.ts";
import type { Lake } from "./lake.ts";
import type { CatalogLock } from "./lock.ts";
import { isS3 } from "./s3.ts";

/** With less free disk space than this, in bytes, the user is warned. */
const littleRoom = 1 << 30;

/** Checks that files can be written, and that the disk has space for them. Opening the lake has checked the rest. */
export async function* checkLake(
  { place, catalog }: Lake,
  lock: CatalogLock | null,
  session: Session,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  signal.throwIfAborted();
  yield { name: "open", label: "Open the catalog", status: "ok", message: `the lake at ${place} is open` };
  if (catalog.kind === "postgresql") yield tlsState(lock!, catalog.settings.ssl.sslmode);
  const [settings] = await session.rows(`SELECT data_path FROM ducklake_settings(${`'${session.catalog}'`})`);
  const data = settings!["data_path"] as string;
  const table = `${quote(session.catalog)}.${quote(bookkeepingSchema)}.headwaters_check`;
  try {
    await session.run(`BEGIN; CREATE TABLE ${table} (a INTEGER); INSERT INTO ${table} VALUES (1); ROLLBACK`);
    yield { name: "write", label: "Write a file", status: "ok", message: `files can be written to ${data}` };
  } catch (thrown) {
    await session.rollback();
    if (!(thrown instanceof HeadwatersError)) throw thrown;
    yield { name: "write", label: "Write a file", status: "failed", message: thrown.message };
    return;
  }
  if (isS3(data)) return;
  const { bavail, bsize } = await statfs(data);
  const room = bavail * bsize;
  const free = `${(room / 2 ** 30).toFixed(1)} GiB are free`;
  yield room < littleRoom
    ? { name: "room", label: "Room on the disk", status: "warning", message: `only ${free} in ${data}` }
    : { name: "room", label: "Room on the disk", status: "ok", message: free };
}

function tlsState({ tls }: CatalogLock, sslmode: string): CheckResult {
  const label = `TLS to the catalog (sslmode ${sslmode})`;
  if (tls === "verified")
    return { name: "tls", label, status: "ok", message: "the connection is encrypted, the certificate verified" };
  const what = tls === "none" ? "is not encrypted" : "is encrypted, but the certificate was not verified";
  return {
    name: "tls",
    label,
    status: "warning",
    message: `the connection ${what}: add sslmode=verify-full and sslrootcert=… to catalog`,
  };
}
