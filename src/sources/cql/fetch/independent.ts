import { lookup } from "node:dns/promises";
import { checkServerIdentity, type ConnectionOptions } from "node:tls";
import type { Client, types } from "cassandra-driver";
import type { Rows } from "../../../protocol/rows.ts";
import type { Column } from "../../../protocol/table.ts";
import { appendCell, RowsBuilder, rowsBytes } from "../../../toolkit/vectors.ts";
import { abortable } from "../../../toolkit/abortable.ts";
import type { Cluster } from "../../../wire/cql/cluster.ts";
import { Unfit } from "../../../wire/cql/decode.ts";
import { emptyKey, UnfitColumn, versionColumn } from "../../../wire/cql/decode-page.ts";
import { Digest } from "../../../wire/cql/digest.ts";
import { driverCell, driverJson, type DriverValue } from "./driver-values.ts";
import type { Fetching } from "./fast.ts";
import { keyPlaces } from "../catalog.ts";
import { consistencies } from "../../../wire/cql/messages.ts";
import type { FetchPage } from "../read.ts";
import { CqlServerError, CqlTimeout } from "../../../wire/cql/server-error.ts";
import { cqlTypeName, type CqlType } from "../../../wire/cql/types.ts";
import { protocolVersion } from "../../../wire/cql/frames.ts";

/** The name of the column for a row's token, which the independent path requests from the server. */
export const tokenColumn = "_headwaters_token";

/** The vendor's driver, connected to the cluster's nodes. It is loaded only here; syncs do not use it. */
export async function connectDriver(cluster: Cluster, signal: AbortSignal): Promise<Client> {
  const { default: driver } = await import("cassandra-driver");
  const { username, password, tls, port, contactPoints, connectTimeout, requestTimeout } = cluster.options;
  const { dataCenter } = await cluster.topology(signal);
  const sslOptions = tls === null ? {} : { sslOptions: await tlsByName(tls, contactPoints) };
  const client = new driver.Client({
    contactPoints: [...contactPoints],
    localDataCenter: dataCenter,
    protocolOptions: { port, maxVersion: protocolVersion },
    ...(username === null ? {} : { credentials: { username, password: password ?? "" } }),
    ...sslOptions,
    encoding: { useBigIntAsLong: true, useBigIntAsVarint: true, map: Map, set: Set },
    socketOptions: { connectTimeout, readTimeout: requestTimeout },
  });
  try {
    await abortable(client.connect(), signal);
    return client;
  } catch (thrown) {
    await client.shutdown();
    throw native(thrown);
  }
}

/** The driver connects only to addresses. This also accepts a certificate for the name that an address was found by. */
async function tlsByName(tls: ConnectionOptions, contactPoints: readonly string[]): Promise<ConnectionOptions> {
  const check = tls.checkServerIdentity ?? checkServerIdentity;
  const found = contactPoints.map(async (name) => {
    const addresses = await lookup(name, { all: true }).catch(() => []);
    return addresses.map(({ address }) => [address, name] as const);
  });
  const named = (await Promise.all(found)).flat();
  return {
    ...tls,
    checkServerIdentity: (host, certificate) => {
      const names = named.filter(([address]) => address === host).map(([, name]) => name);
      const refused = [host, ...names].map((name) => check(name, certificate));
      return refused.includes(undefined) ? undefined : refused[0];
    },
  };
}

/** The independent path: the driver reads frames, pages and values, and shares no line with the fast path. */
export function fetchIndependent(fetching: Fetching, client: Client): FetchPage {
  const { cluster, columns, statement, consistency } = fetching;
  const decode = rowDecoder(fetching);
  return async ({ tokens }, { rows, state, batchBytes }, signal) => {
    const values = tokens === null ? [] : [tokens.low, tokens.high];
    const options = { prepare: true, consistency: consistencies[consistency] };
    const from = state === null ? options : { ...options, pageState: state };
    const result: types.ResultSet = await cluster.paged(rows, async (fetchSize) => {
      try {
        return await abortable(client.execute(statement, values, { ...from, fetchSize }), signal);
      } catch (thrown) {
        signal.throwIfAborted();
        throw native(thrown);
      }
    });
    const next = result.pageState as string | null | undefined;
    const last = result.rows.at(-1);
    // The driver does not report the length of a page. Its vectors do, and only they are kept.
    const decoded = [...batches(result.rows, columns, decode, batchBytes)];
    return {
      rows: result.rows.length,
      bytes: decoded.reduce((sum, rows) => sum + rowsBytes(rows), 0),
      next: next === null || next === undefined ? null : Buffer.from(next, "hex"),
      batches: () => decoded.values(),
      lastToken: () => (last?.get(tokenColumn) as bigint | undefined) ?? null,
    };
  };
}

function* batches(
  rows: readonly types.Row[],
  columns: readonly Column[],
  decode: (row: types.Row, builder: RowsBuilder) => void,
  batchBytes: number,
): Generator<Rows> {
  const builder = new RowsBuilder(columns);
  for (const row of rows) {
    decode(row, builder);
    if (builder.bytes >= batchBytes) yield builder.finish();
  }
  if (builder.length > 0) yield builder.finish();
}

/** Appends a row: the columns in their order, then the version made of the further selected values. */
function rowDecoder({ table, columns, native }: Fetching): (row: types.Row, builder: RowsBuilder) => void {
  const typeOf = new Map(native.columns.map((column) => [column.name, column.type]));
  const data = columns.filter(({ name }) => name !== versionColumn);
  const version = columns.findIndex(({ name }) => name === versionColumn);
  const places = keyPlaces(native);
  const digest = new Digest();
  return (row, builder) => {
    let target = 0;
    for (const [index, column] of data.entries()) {
      if (target === version) target += 1;
      const type = typeOf.get(column.name)!;
      try {
        const place = places.get(column.name) ?? null;
        const cell = driverCell(type, column.type, row.get(index), place);
        appendCell(builder.builders[target++]!, cell === null && place !== null ? emptyKey(column.type) : cell);
      } catch (thrown) {
        if (!(thrown instanceof Unfit)) throw thrown;
        throw new UnfitColumn(column.name, cqlTypeName(type), thrown.message, thrown);
      }
    }
    if (version < 0) return;
    digest.reset();
    const versioned = native.columns.filter(
      ({ name, kind }) =>
        table.columns.some((column) => column.name === name) && (kind === "static" || kind === "regular"),
    );
    for (const [index, column] of versioned.entries()) digestCell(digest, column.type, row.get(data.length + index));
    builder.builders[version]!.int64(digest.low, digest.high);
  };
}

const long: CqlType = { kind: "bigint" };

/** A write time, or the list of them for a collection that is not frozen; or the value, if it has no write times. */
function digestCell(digest: Digest, type: CqlType, value: DriverValue): void {
  if (value === null || value === undefined) digest.bytes(null);
  else if (typeof value === "bigint") digest.bytes(longBytes(value));
  else if (Array.isArray(value) && value.every((item) => item === null || typeof item === "bigint"))
    digest.bytes(Buffer.from(driverJson({ kind: "list", of: long }, value, null)));
  else digest.bytes(Buffer.from(driverJson(type, value, null)));
}

function longBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

/** Turns the driver's errors into those of the wire, so that one table explains both. */
function native(thrown: unknown): unknown {
  if (typeof thrown !== "object" || thrown === null) return thrown;
  if ("innerErrors" in thrown && typeof thrown.innerErrors === "object" && thrown.innerErrors !== null) {
    const [first] = Object.values(thrown.innerErrors) as unknown[];
    if (first !== undefined) return native(first);
  }
  if ("code" in thrown && typeof thrown.code === "number" && thrown instanceof Error)
    return new CqlServerError(thrown.code, thrown.message, protocolVersion);
  if (thrown instanceof Error && /timed out|OperationTimedOut/i.test(`${thrown.name} ${thrown.message}`))
    return new CqlTimeout(0);
  return thrown;
}
