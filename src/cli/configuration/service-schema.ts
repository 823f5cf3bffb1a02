import { resolve } from "node:path";
import { z } from "zod";
import { alertKinds, type ServiceSettings } from "../../service/settings.ts";
import type { Redactor } from "../redact.ts";
import { duration, size, whole } from "./connection-schema.ts";
import type { RawSection } from "./load.ts";
import { invalid, validate } from "./problems.ts";
import { settingNames } from "./settings.ts";
import { resolveValues } from "./values.ts";

const alert = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\/\S+$|\$\{/, "must be an address that begins with https:// or http://")
    .meta({ description: "The address that gets a POST request for each alert." }),
  secret: z.string().min(16, "must have at least 16 characters").optional().meta({
    secret: true,
    description:
      "The key that signs each request: the header Headwaters-Signature has an HMAC-SHA256 of time and body.",
  }),
  events: z
    .array(z.enum(alertKinds))
    .default([...alertKinds])
    .meta({ description: "Which alerts are sent. Absent: all." }),
  after: whole(1, 1_000)
    .default(1)
    .meta({ description: "How many runs must fail one after the other before `failed` is sent." }),
  template: z.string().optional().meta({
    description:
      'The body of the request: JSON with {{message}}, {{connection}}, {{event}}, {{hint}} or {{at}} in its texts. {"text": "{{message}}"} is for Slack.',
  }),
});

/** What stands below `service:` in the file of connections: how `headwaters up` works. */
export const serviceSchema = z.strictObject({
  concurrency: whole(1, 1_000).default(2).meta({ description: "How many runs are made at the same time." }),
  memory: size.optional().meta({
    description:
      "The most memory for rows that wait for the destinations, for all runs together. Each run gets an equal part.",
  }),
  keepRuns: duration.prefault("90d").meta({ description: "How long the history of runs is kept." }),
  pauseAfter: whole(1, 1_000).default(5).meta({
    description:
      "A connection is paused after this many runs that failed one after the other, copied no table, and need a person.",
  }),
  token: z.string().min(16, "must have at least 16 characters").optional().meta({
    secret: true,
    description:
      "The token for the page and the API. Absent: the service makes one and keeps it in .headwaters/.service/token.",
  }),
  hosts: z.array(z.string().min(1)).default([]).meta({
    description: "Names that browsers use for this host, besides localhost, the name of the machine and IP addresses.",
  }),
  tls: z
    .union(
      [
        z.literal("proxy"),
        z.strictObject({
          certificate: z.string().min(1).meta({ description: "The file of the certificate and its chain, in PEM." }),
          key: z.string().min(1).meta({ description: "The file of its private key, in PEM." }),
        }),
      ],
      { error: "must be proxy, or a mapping of certificate and key" },
    )
    .optional()
    .meta({
      description:
        "The files of a certificate; or proxy, if a proxy in front of the service has TLS. Required for an address that other machines can reach.",
    }),
  alerts: z.record(z.string(), alert).default({}).meta({ description: "Where alerts are sent, each under a name." }),
});

/** Files and commands may give secrets. */
const fetched = new Set(["token", "secret", "url"]);

/** Inserts outside values into the settings of the service and checks them. Throws all problems at once. */
export async function resolveService(
  raw: RawSection,
  folder: string,
  variables: NodeJS.ProcessEnv,
  redactor: Redactor,
): Promise<ServiceSettings> {
  const resolved = await resolveValues(raw.value, {
    folder,
    environment: variables,
    mayFetch: (path) => fetched.has(String(path.at(-1))),
    asks: () => true,
  });
  for (const { path, value } of resolved.fetched) if (fetched.has(String(path.at(-1)))) redactor.add(value);
  const { output, problems } = validate(serviceSchema, resolved.value, {
    at: [],
    secrets: new Set(["token", "alerts"]),
    known: (path) => settingNames(serviceSchema, path),
  });
  const found = [...resolved.problems, ...problems];
  if (output === null || found.length > 0) throw invalid(found, (path) => raw.placeOf(["service", ...path]));
  const { token = null, tls = null } = output;
  if (token !== null) redactor.add(token);
  const alerts = Object.entries(output.alerts).map(([name, { secret = null, template = null, ...webhook }]) => {
    if (secret !== null) redactor.add(secret);
    // The address of a Slack or Teams webhook is a secret: anyone who has it can post.
    redactor.add(webhook.url);
    return [name, { ...webhook, secret, template }] as const;
  });
  const { concurrency, memory = null, keepRuns, pauseAfter, hosts } = output;
  return {
    concurrency,
    memoryBytes: memory,
    keepRuns,
    pauseAfter,
    token,
    hosts,
    tls:
      tls === null || tls === "proxy"
        ? tls
        : { certificate: resolve(folder, tls.certificate), key: resolve(folder, tls.key) },
    alerts: Object.fromEntries(alerts),
  };
}
