import type { CheckResult } from "../../protocol/source.ts";
import { failedCheck, isLoopback } from "../../toolkit/checks.ts";
import { Commands } from "../../wire/resp/commands.ts";
import type { RespConnection } from "../../wire/resp/connection.ts";
import { RespError, unknownCommand } from "../../wire/resp/errors.ts";
import { deniedPart } from "./errors.ts";
import type { Configuration } from "./config.ts";
import type { Pool } from "./pool.ts";
import { serverInfo } from "./server.ts";

/** Every command that a sync or `verify` may need, called with a key that does not exist. */
const commands: readonly (readonly [string, ...string[]])[] = [
  ["INFO", "server"],
  ["TIME"],
  ["SCAN", "0", "COUNT", "1"],
  ["TYPE", "{key}"],
  ["PTTL", "{key}"],
  ["GETRANGE", "{key}", "0", "1"],
  ["STRLEN", "{key}"],
  ["HLEN", "{key}"],
  ["SCARD", "{key}"],
  ["ZCARD", "{key}"],
  ["LLEN", "{key}"],
  ["HSCAN", "{key}", "0"],
  ["SSCAN", "{key}", "0"],
  ["ZRANGE", "{key}", "0", "1"],
  ["LRANGE", "{key}", "0", "1"],
  ["XRANGE", "{key}", "-", "+", "COUNT", "1"],
  ["XREVRANGE", "{key}", "+", "-", "COUNT", "1"],
  ["TS.RANGE", "{key}", "-", "+", "COUNT", "1"],
  ["TS.REVRANGE", "{key}", "-", "+", "COUNT", "1"],
  ["JSON.GET", "{key}"],
  ["DUMP", "{key}"],
  ["PEXPIRETIME", "{key}"],
  ["GET", "{key}"],
  ["HGETALL", "{key}"],
  ["SMEMBERS", "{key}"],
  ["WATCH", "{key}"],
  ["UNWATCH"],
  ["MULTI"],
  ["EXEC"],
];

/** A warning if denied: needed only for keys of some types or for `verify`, or replaced by another command. */
const dispensable: ReadonlySet<string> = new Set([
  ...["XRANGE", "XREVRANGE", "TS.RANGE", "TS.REVRANGE", "JSON.GET", "DUMP"],
  ...["GET", "HGETALL", "SMEMBERS", "WATCH", "UNWATCH", "MULTI", "EXEC"],
]);

/** Checks a server step by step; stops after the first step that fails. */
export async function* checkSource(
  pool: Pool,
  configuration: Configuration,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  const { host, port, username, database, ssl } = configuration;
  let connection: RespConnection;
  const connect = { name: "connect", label: `Connect to ${host}:${port} as ${username ?? "the default user"}` };
  try {
    connection = await pool.take(signal, 1);
  } catch (thrown) {
    signal.throwIfAborted();
    yield failedCheck(connect.name, connect.label, thrown);
    return;
  }
  try {
    const encrypted = !ssl
      ? "without TLS"
      : configuration.ssl_verify
        ? "with TLS, the certificate verified"
        : "with TLS, the certificate not verified";
    yield { ...connect, status: "ok", message: `Connected ${encrypted}; database ${database}.` };
    if (!ssl && configuration.password !== undefined && !isLoopback(host)) {
      yield {
        name: "tls",
        label: "Encryption",
        status: "warning",
        message: "The password crosses the network in the clear: set ssl to true if the server has TLS.",
      };
    }
    yield* checkKind(connection, configuration);
    yield await checkPrivileges(connection, configuration);
    yield* checkRights(connection, configuration);
    yield {
      name: "cost",
      label: "Cost",
      status: "ok",
      message:
        "The server does not report what changed, so each sync goes over all keys (SCAN) and reads every value that key_pattern matches, in small commands.",
    };
  } catch (thrown) {
    yield failedCheck("server", "Server", pool.error(thrown, signal));
  } finally {
    pool.give(connection);
  }
}

async function* checkKind(connection: RespConnection, { database }: Configuration): AsyncGenerator<CheckResult> {
  const server = await serverInfo(connection, database);
  const keys = `database ${database} has ${server.keys} keys`;
  yield {
    name: "server",
    label: "Server",
    status: "ok",
    message: `${server.kind} ${server.version} (${server.role}); ${keys}.`,
  };
  if (server.cluster) {
    const message =
      "The server is one node of a cluster: only its own keys are copied. Make a connection for each node.";
    yield { name: "cluster", label: "Cluster", status: "warning", message };
  }
}

/** Module commands: a server without them has no such keys. */
const ofModules: ReadonlySet<string> = new Set(["TS.RANGE", "TS.REVRANGE", "JSON.GET"]);

/** Names everything that is denied or missing, commands and keys, so that one ACL SETUSER allows it all. */
async function checkPrivileges(
  connection: RespConnection,
  { key_pattern: patterns, username, expires_at: expiresAt }: Configuration,
): Promise<CheckResult> {
  const about = { name: "privileges", label: "Commands and keys that the user may use" };
  const tried = commands.filter(([command]) => expiresAt || command !== "PEXPIRETIME");
  const asked = tried.map((command) => ({ command, pattern: patterns[0]! }));
  for (const pattern of patterns.slice(1)) asked.push({ command: ["TYPE", "{key}"], pattern });
  const all = new Commands();
  for (const { command, pattern } of asked)
    all.add(...command.map((part) => (part === "{key}" ? missingKey([pattern]) : part)));
  connection.send(all);
  const unknown: string[] = [];
  const refused: { readonly command: string; readonly pattern: string; readonly of: "command" | "keys" | null }[] = [];
  /** Patterns of which a key was accepted. */
  const open = new Set<string>();
  for (const { command, pattern } of asked) {
    const [name] = command;
    const reply = await connection.reply();
    const isDenied = reply instanceof RespError && /\bNOPERM\b/.test(reply.message);
    if (reply instanceof RespError && unknownCommand(reply) !== null) {
      if (!ofModules.has(name)) unknown.push(name);
    } else if (isDenied)
      refused.push({ command: name, pattern, of: command.includes("{key}") ? deniedPart(reply) : "command" });
    else if (command.includes("{key}")) open.add(pattern);
  }
  // If the server does not say what it refuses, a pattern with an accepted key is not the reason.
  const ofKeys = refused.filter(({ of, pattern }) => of === "keys" || (of === null && !open.has(pattern)));
  const closed = [...new Set(ofKeys.map(({ pattern }) => pattern))];
  const denied = refused.filter((one) => !ofKeys.includes(one)).map(({ command }) => command);
  const who = username ?? "default";
  const messages: string[] = [];
  if (unknown.length > 0)
    messages.push(`The server has no command ${unknown.join(", ")}: renamed, or not passed on by a proxy.`);
  if (denied.length > 0) messages.push(`The user "${who}" may not run ${denied.join(", ")}.`);
  if (closed.length > 0)
    messages.push(
      `The user "${who}" may not read all keys of the pattern ${closed.map((one) => `"${one}"`).join(", ")}.`,
    );
  if (messages.length === 0) return { ...about, status: "ok", message: "All of them." };
  const grants = [...denied.map((command) => `+${command.toLowerCase()}`), ...closed.map((pattern) => `%R~${pattern}`)];
  if (grants.length > 0) messages.push(`Give the right with: ACL SETUSER ${who} ${grants.join(" ")}`);
  const vital = [...unknown, ...denied].some((command) => !dispensable.has(command));
  return { ...about, status: vital ? "failed" : "warning", message: messages.join(" ") };
}

/** Warns if the user may write. It is asked with a command that changes nothing, since the key does not exist. */
async function* checkRights(
  connection: RespConnection,
  { key_pattern: patterns, username }: Configuration,
): AsyncGenerator<CheckResult> {
  const probe = new Commands();
  probe.add("PERSIST", missingKey(patterns));
  connection.send(probe);
  const reply = await connection.reply();
  if (reply instanceof RespError) return;
  const who = username ?? "default";
  const message = `The user "${who}" may write. Reading needs less: a user of its own, ACL SETUSER … with the commands that the documentation of this source lists.`;
  yield { name: "rights", label: "Rights", status: "warning", message };
}

/** A key of the pattern that does not exist. */
function missingKey(patterns: readonly string[]): string {
  return `${patterns[0]!.replace(/[*?[\]\\^]+.*$/, "")}headwaters:no such key`;
}
