import { HeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult } from "../../protocol/source.ts";
import type { Cluster } from "../../wire/cql/cluster.ts";
import { type ControlRow, textValue } from "../../wire/cql/control-rows.ts";
import { quoted } from "../../wire/cql/errors.ts";

/** Permissions that a role needs for reading. */
const needed: ReadonlySet<string> = new Set(["SELECT", "DESCRIBE"]);

/**
 * Warns if the role may do more than it needs: CQL has no read-only session. Returns nothing if the cluster has no roles, or
 * does not show a role its own permissions.
 */
export async function* checkRights(
  cluster: Cluster,
  username: string | null,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  if (username === null) return;
  const asked = async (statement: string): Promise<readonly ControlRow[] | null> => {
    try {
      return await cluster.rows(statement, [], { signal });
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof HeadwatersError)) return null;
      if (thrown.remedy === "retry") throw thrown;
      return null;
    }
  };
  const roles = await asked(`LIST ROLES OF ${quoted(username)}`);
  const permissions = await asked(`LIST ALL PERMISSIONS OF ${quoted(username)}`);
  if (roles === null && permissions === null) return;
  const isSuper = (roles ?? []).some((row) => textValue(row["super"]) === "true");
  const more = (permissions ?? []).flatMap((row) => {
    const permission = textValue(row["permission"]) ?? "";
    return needed.has(permission) ? [] : [`${permission} on ${textValue(row["resource"]) ?? "?"}`];
  });
  const able = [...(isSuper ? ["is a superuser"] : []), ...(more.length > 0 ? [`has ${listed(more)}`] : [])];
  if (able.length === 0) return;
  const message = `Role "${username}" ${able.join(" and ")}. Reading needs less: a role of its own with SELECT on the keyspace.`;
  yield { name: "rights", label: "Rights", status: "warning", message };
}

function listed(some: readonly string[]): string {
  return `${some.slice(0, 3).join(", ")}${some.length > 3 ? ` and ${some.length - 3} more` : ""}`;
}
