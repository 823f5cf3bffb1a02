import { z } from "zod";
import { parseDuration } from "../../toolkit/quantities.ts";
import { resourceSettings } from "../duckdb/database.ts";
import { isPostgresql, problemOf } from "./catalog.ts";

const text = z.string().min(1, "must not be empty");

/** The settings of a lake: its catalog, its files, and the access to both. */
export const configuration = z.strictObject({
  catalog: text
    .superRefine((address, context) => {
      const problem = isPostgresql(address) ? problemOf(address) : null;
      if (problem !== null) context.addIssue({ code: "custom", message: problem });
    })
    .default("lake.ducklake")
    .meta({
      description:
        "The catalog: a DuckDB file, which is created if it does not exist; or a PostgreSQL database: postgresql://user@host:5432/database?sslmode=verify-full (sslmode, sslrootcert, sslcert, sslkey as in libpq).",
      path: true,
    }),
  password: z.string().optional().meta({ description: "Password of the user of a PostgreSQL catalog.", secret: true }),
  catalog_schema: text.optional().meta({
    description: "The schema of a PostgreSQL catalog for the lake's tables. Default: public.",
  }),
  data: text.optional().meta({
    description:
      "Where the Parquet files go: a folder, or s3://bucket/prefix. Required for a new lake with its catalog in PostgreSQL. Default: the name of the catalog's file with .files.",
    path: true,
  }),
  s3_access_key_id: text.optional().meta({
    description: "Access key of the S3 storage. Absent: the environment variables AWS_ACCESS_KEY_ID, … are used.",
  }),
  s3_secret_access_key: text.optional().meta({ description: "The secret of the access key.", secret: true }),
  s3_session_token: text
    .optional()
    .meta({ description: "The session token of the access key, if it has one.", secret: true }),
  s3_region: text.optional().meta({ description: "Region of the S3 storage. Default: us-east-1." }),
  s3_endpoint: text.optional().meta({
    description: "Address of an S3 storage of another vendor, such as https://minio.example.com:9000.",
  }),
  s3_url_style: z.enum(["vhost", "path"]).optional().meta({
    description:
      "vhost: the bucket is part of the host name. path: it is part of the path. Default: path with s3_endpoint.",
  }),
  merge_small_files: z.enum(["auto", "never"]).default("auto").meta({
    description: "auto: a sync merges small files at its end, if a table has many. never: you merge them yourself.",
  }),
  keep_snapshots: text
    .refine((age) => age === "forever" || (parseDuration(age) ?? 0) > 0, {
      error: "must be a duration, such as 7d, or forever",
    })
    .default("7d")
    .meta({
      description:
        "How long snapshots are kept while a stream is followed, such as 7d. AT can't read older ones. Their files are removed a day later. forever: all are kept.",
    }),
  extensions: text.optional().meta({
    description:
      "Folder with DuckDB's extensions ducklake, postgres_scanner and httpfs, for machines without a network. Default: DuckDB downloads them once.",
    path: true,
  }),
  ...resourceSettings,
  temp_directory: text.optional().meta({
    description: "Folder for data that does not fit into memory. Default: that of the system.",
    path: true,
  }),
});

export type Configuration = z.output<typeof configuration>;
