import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import type { TemporalSettings } from "../../cluster/settings.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { Redactor } from "../redact.ts";
import type { RawSection } from "./load.ts";
import { duration } from "./connection-schema.ts";
import { invalid, validate } from "./problems.ts";
import { settingNames } from "./settings.ts";
import { resolveValues } from "./values.ts";

const tls = z.strictObject({
  ca: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "The file of the authority that signed the server's certificate." }),
  certificate: z.string().min(1).optional().meta({ description: "The file of the client's certificate, in PEM." }),
  key: z.string().min(1).optional().meta({ description: "The file of its private key, in PEM." }),
  serverName: z
    .string()
    .min(1)
    .optional()
    .meta({ description: "The name in the server's certificate, if it is another." }),
});

const leastSilence = 1_000;

/** What stands below `temporal:` in the file of connections: where syncs of many machines are driven from. */
export const temporalSchema = z.strictObject({
  address: z
    .string()
    .regex(/^[^\s:]+:\d+$|\$\{/, "must be host:port")
    .default("localhost:7233")
    .meta({ description: "The address of Temporal's frontend: host:port." }),
  namespace: z.string().min(1).default("default").meta({ description: "The namespace. It must exist." }),
  taskQueue: z.string().min(1).default("headwaters").meta({ description: "The task queue that workers listen to." }),
  tls: z.union([z.boolean(), tls], { error: "must be true, false, or a mapping of files" }).default(false).meta({
    description:
      "true: TLS with the certificate authorities of the system. A mapping names the files ca, certificate and key.",
  }),
  heartbeatTimeout: duration
    .refine((milliseconds) => milliseconds >= leastSilence, "must be 1s or more")
    .prefault("30s")
    .meta({
      description:
        "A worker that is silent for this long is given up, and its work goes to another one. Counts for the syncs that begin afterwards.",
    }),
  apiKey: z
    .string()
    .min(1)
    .optional()
    .meta({ secret: true, description: "An API key, for example of Temporal Cloud." }),
});

/** Inserts outside values into the settings and checks them. Throws all problems at once. */
export async function resolveTemporal(
  raw: RawSection,
  folder: string,
  variables: NodeJS.ProcessEnv,
  redactor: Redactor,
): Promise<TemporalSettings> {
  const resolved = await resolveValues(raw.value, {
    folder,
    environment: variables,
    mayFetch: (path) => path.at(-1) === "apiKey",
    asks: () => true,
  });
  const { output, problems } = validate(temporalSchema, resolved.value, {
    at: [],
    secrets: new Set(["apiKey"]),
    known: (path) => settingNames(temporalSchema, path),
  });
  const found = [...resolved.problems, ...problems];
  if (output === null || found.length > 0) throw invalid(found, (path) => raw.placeOf(["temporal", ...path]));
  const { address, namespace, taskQueue, heartbeatTimeout, apiKey = null } = output;
  if (apiKey !== null) redactor.add(apiKey);
  const read = (file: string | undefined, setting: string): Promise<Buffer> | null =>
    file === undefined ? null : readPem(resolve(folder, file), `temporal.tls.${setting}`);
  const files = output.tls === true ? {} : output.tls;
  return {
    ...{ address, namespace, taskQueue, heartbeatTimeout, apiKey },
    tls:
      files === false
        ? null
        : {
            ca: await read(files.ca, "ca"),
            certificate: await read(files.certificate, "certificate"),
            key: await read(files.key, "key"),
            serverName: files.serverName ?? null,
          },
  };
}

async function readPem(file: string, setting: string): Promise<Buffer> {
  return readFile(file).catch((thrown: unknown) => {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}: the file can't be read: ${reason}`, {
      cause: thrown,
    });
  });
}
