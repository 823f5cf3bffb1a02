import { z } from "zod";
import { flag, optionalPassword, optionalText, text, typeSetting, whole } from "../../toolkit/settings.ts";
import { keyPatternProblem } from "./expanded/key-pattern.ts";

/** A pattern of keys. The server accepts a malformed pattern silently, and no key matches it. */
const pattern = z
  .string()
  .min(1)
  .refine((text) => /^(\\.|\[(\\.|[^\\\]])+\]|[^\\[])*$/su.test(text), {
    error: "must be a pattern whose [ is closed by a ], with nothing missing behind a \\",
  });

const column = z.union([
  typeSetting.transform((type) => ({ from: null, type })),
  z.strictObject({
    from: z.string().min(1).optional().meta({
      description: "The hash field, or the path in a JSON document (address.city). Absent: the name of the column.",
    }),
    type: typeSetting.default({ kind: "STRING" }).meta({ description: "The type of the column. Absent: STRING." }),
  }),
]);

const expandedTable = z.strictObject({
  pattern: z
    .string()
    .superRefine((pattern, context) => {
      const problem = keyPatternProblem(pattern);
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    })
    .meta({
      description:
        "The form of its keys, with a name in braces for each key column: user:{id}. {id*} also matches colons.",
    }),
  columns: z.record(z.string().min(1), column).optional().meta({
    description:
      "Its columns: a name with a type, or with from and type. Absent: each field or member becomes a column.",
  }),
});

export const configuration = z.strictObject({
  host: text.meta({ title: "Host", description: "Host name or IP address of the server." }),
  port: whole(1, 65_535).default(6379).meta({ title: "Port", description: "Port of the server." }),
  username: optionalText.meta({ title: "User", description: "User (ACL). Absent: the server's default user." }),
  password: optionalPassword.meta({
    title: "Password",
    description: "Password, if the server asks for one.",
    secret: true,
  }),
  database: whole(0, 2_147_483_647)
    .default(0)
    .meta({ title: "Database", description: "Number of the database, 0 to 15 on most servers." }),
  ssl: flag.default(false).meta({ title: "TLS", description: "Whether the connection is encrypted with TLS." }),
  table_name: text
    .default("dragonfly_data")
    .meta({ title: "Table name", description: "Name of the table with one row for each key." }),
  key_pattern: z
    .union([pattern, z.array(pattern).min(1)])
    .transform((patterns) => [...new Set([patterns].flat())])
    .default(["*"])
    .meta({
      title: "Key patterns",
      description:
        "Which keys are copied: a pattern such as session:*, or a list of patterns. Each pattern needs its own SCAN.",
    }),
  batch_size: whole(1, 100_000).default(100).meta({
    title: "Batch size",
    description:
      "How many keys one SCAN asks for, approximately (COUNT). A larger number needs fewer round trips to a distant server.",
  }),
  key_types: z.array(z.string().min(1)).min(1).optional().meta({
    title: "Key types",
    description: "Only keys of these types are copied: string, hash, list, set, zset, json. Absent: all.",
  }),
  tables: z.record(z.string().min(1), expandedTable).default({}).meta({
    title: "Tables",
    description: "Additional tables for keys of one form, with a column for each hash field or JSON member.",
  }),
  time_series: flag.default(true).meta({
    title: "Time series",
    description: "Whether samples of time series are copied, to <table_name>_timeseries.",
  }),
  streams: flag
    .default(true)
    .meta({ title: "Streams", description: "Whether entries of streams are copied, to <table_name>_streams." }),
  late_seconds: whole(0, 31_536_000).default(3_600).meta({
    title: "Lateness",
    description:
      "How late samples and entries may arrive to be found by the next sync. Later ones are found by sweeps.",
  }),
  expires_at: flag.default(false).meta({
    title: "Expiry",
    description: "Adds the column expires_at. A new time to live then counts as a change.",
  }),
  read_timeout: whole(1, 86_400).default(60).meta({
    title: "Read timeout",
    description:
      "Seconds that the server may be silent while a reply is due. Then it is asked on a second connection. If it says that it is busy, Headwaters waits.",
  }),
  binary: z.enum(["base64", "column"]).default("base64").meta({
    title: "Binary values",
    description:
      "Where values go that are not text. base64: into value, after the mark base64:. column: into the column value_binary.",
  }),
  unknown_types: z.enum(["dump", "skip"]).default("dump").meta({
    title: "Unknown types",
    description: "Keys of unknown modules. dump: copied as the server's DUMP. skip: left out.",
  }),
  max_value_bytes: whole(1_024, 1_073_741_824).default(134_217_728).meta({
    title: "Largest value",
    description: "A larger value is not copied. Its row has data_type error, and says why.",
  }),
  ssl_verify: flag.default(true).meta({
    when: { setting: "ssl", is: true },
    title: "Verify certificate",
    description: "Whether the server's certificate must be signed by a trusted authority.",
  }),
  ssl_check_hostname: flag.default(true).meta({
    when: { setting: "ssl", is: true },
    title: "Verify host name",
    description: "Whether the certificate must have the name of the host.",
  }),
  ssl_ca: optionalText.meta({
    when: { setting: "ssl", is: true },
    title: "Certificate authority",
    description: "PEM file with the trusted authorities.",
    path: true,
  }),
  ssl_cert: optionalText.meta({
    when: { setting: "ssl", is: true },
    title: "Client certificate",
    description: "PEM file of the client's certificate, if the server asks for one.",
    path: true,
  }),
  ssl_key: optionalText.meta({
    when: { setting: "ssl", is: true },
    title: "Client key",
    description: "PEM file of the client's private key.",
    path: true,
  }),
});

export type Configuration = z.output<typeof configuration>;
