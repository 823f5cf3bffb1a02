import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import type { Known } from "../../cluster/activities.ts";
import type { TemporalSettings } from "../../cluster/settings.ts";
import { withEnvFile } from "../configuration/env-file.ts";
import { defaultFile, readConnections, readFileOf, readSection } from "../configuration/load.ts";
import { type RawConnection, resolveConnection } from "../configuration/resolve.ts";
import { resolveTemporal } from "../configuration/temporal-schema.ts";
import { openSource, openWarehouse, sidesOf } from "../connect.ts";
import { runContext, type Session } from "../session.ts";

/** The address of Temporal, from the file of connections. */
export async function temporalOf(session: Session, file: string | undefined): Promise<TemporalSettings> {
  const { environment, output } = session;
  const request = file === undefined ? {} : { file };
  const text = await readFileOf(request, environment.folder);
  const home = dirname(resolve(environment.folder, file ?? defaultFile));
  const variables = await withEnvFile(home, environment.variables);
  return resolveTemporal(readSection("temporal", request, text), home, variables, output.redactor);
}

/**
 * A fingerprint of a connection's entry, as far as it decides its syncs, without values of the environment: each machine
 * may keep secrets in its own way.
 */
export function fingerprintOf({ entry }: RawConnection): string {
  const { schedule: _schedule, verify: _verify, freshness: _freshness, ...rest } = entry;
  return createHash("sha256")
    .update(JSON.stringify(sorted(rest)))
    .digest("hex")
    .slice(0, 12);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, part]): [string, unknown] => [name, sorted(part)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A connection in the file's current version. */
export async function findConnection(session: Session, file: string | undefined, name: string): Promise<Known> {
  const { environment, output } = session;
  const request = { names: [name], ...(file === undefined ? {} : { file }) };
  const [raw] = await readConnections(request, { folder: environment.folder });
  const variables = await withEnvFile(raw!.folders.destination, environment.variables);
  const configured = await resolveConnection(raw!, variables, output.redactor);
  const { log } = runContext(session);
  // Activities have signals of their own: what they open outlives the signal that ends the worker's polling.
  const options = { log, withoutSecrets: session.withoutSecrets, signal: new AbortController().signal };
  const sides = sidesOf(configured, options);
  return {
    fingerprint: fingerprintOf(raw!),
    sides,
    openSource: () => openSource(configured, options),
    openDestination: () => openWarehouse(configured, options, true),
  };
}
