import { z } from "zod";
import { resourceSettings } from "./database.ts";

/** The settings of a DuckDB file: where it is, and the memory, threads and disk that DuckDB may use. */
export const configuration = z.strictObject({
  path: z
    .string()
    .min(1, "must be the path of a file")
    .refine((path) => path !== ":memory:", "must be a file: a database in memory would be gone after the sync")
    .refine(
      (path) => !/^(md|motherduck):|^[a-z][a-z0-9+.-]+:\/\//i.test(path),
      "must be a file on this machine: MotherDuck and other addresses can't be written",
    )
    .default("warehouse.duckdb")
    .meta({ description: "The DuckDB file. It is created if it does not exist.", path: true }),
  ...resourceSettings,
  temp_directory: z.string().min(1).optional().meta({
    description: "Folder for data that does not fit into memory. Default: the name of the file with .tmp.",
    path: true,
  }),
});

export type Configuration = z.output<typeof configuration>;
