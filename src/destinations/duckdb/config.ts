import { z } from "zod";

/** Where the copy is kept, and what DuckDB may use of the machine while it is written. */
export const configuration = z.strictObject({
  path: z
    .string()
    .min(1, "must be the path of a file")
    .refine((path) => path !== ":memory:", "must be a file: a database in memory would be gone after the sync")
    .default("warehouse.duckdb")
    .meta({ description: "The DuckDB file. It is made where there is none.", path: true }),
  memory_limit: z
    .string()
    .regex(/^\d+(\.\d+)?\s*([KMGT]i?B)$/i, 'must be a size such as "256MB" or "1GiB"')
    .default("192MB")
    .meta({ description: "Memory that DuckDB may use; what does not fit goes to temp_directory." }),
  threads: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .optional()
    .meta({ description: "Threads that DuckDB may use. Default: one for each processor." }),
  temp_directory: z.string().min(1).optional().meta({
    description: "Folder for what does not fit into memory. Default: beside the file, with .tmp at its end.",
    path: true,
  }),
});

export type Configuration = z.output<typeof configuration>;
