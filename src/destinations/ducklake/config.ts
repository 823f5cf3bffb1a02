import { z } from "zod";
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
        "The catalog: a DuckDB file, made where there is none, or a PostgreSQL database as postgresql://user@host:5432/database?sslmode=verify-full (sslmode, sslrootcert, sslcert, sslkey as libpq means them).",
      path: true,
    }),
  password: z.string().optional().meta({ description: "Password of the user of a PostgreSQL catalog.", secret: true }),
  catalog_schema: text.optional().meta({
    description: "The schema of a PostgreSQL catalog that has the lake's tables. Default: public.",
  }),
  data: text.optional().meta({
    description:
      "Where the Parquet files go: a folder, or s3://bucket/prefix. Needed where the lake is new and its catalog in PostgreSQL. Default: beside the catalog's file, with .files at its end.",
    path: true,
  }),
  s3_access_key_id: text.optional().meta({
    description: "Key of the S3 storage. Without it the variables AWS_ACCESS_KEY_ID, … of the environment count.",
  }),
  s3_secret_access_key: text.optional().meta({ description: "… and its secret.", secret: true }),
  s3_session_token: text.optional().meta({ description: "… and its session token, if it has one.", secret: true }),
  s3_region: text.optional().meta({ description: "Region of the S3 storage. Default: us-east-1." }),
  s3_endpoint: text.optional().meta({
    description: "Address of an S3 storage that is not Amazon's, as https://minio.example.com:9000.",
  }),
  s3_url_style: z.enum(["vhost", "path"]).optional().meta({
    description: "vhost: the bucket is part of the host's name; path: of the path. Default: path with s3_endpoint.",
  }),
  merge_small_files: z.enum(["auto", "never"]).default("auto").meta({
    description:
      "auto: at the end of a sync, where a table has many of them; never: leave them to your own maintenance.",
  }),
  extensions: text.optional().meta({
    description:
      "Folder with DuckDB's extensions ducklake, postgres_scanner and httpfs, for machines without a network. Default: DuckDB downloads them once.",
    path: true,
  }),
  ...resourceSettings,
  temp_directory: text.optional().meta({
    description: "Folder for what does not fit into memory. Default: the system's.",
    path: true,
  }),
});

export type Configuration = z.output<typeof configuration>;
