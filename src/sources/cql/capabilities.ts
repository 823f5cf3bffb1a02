import type { SourceCapabilities } from "../../protocol/source.ts";

const week = 7 * 24 * 60 * 60 * 1_000;

export const cqlCapabilities: SourceCapabilities = {
  passes: ["full", "window", "keys"],
  independentPath: true,
  schema: "declared",
  filter: "cql",
  // A write below a quorum may surface hours later with an old timestamp; two of one microsecond have one write time.
  reread: week,
};
