import { definition as redis } from "../redis/index.ts";

export const definition: typeof redis = {
  ...redis,
  name: "dragonflydb",
  title: "DragonflyDB",
  kin: ["redis", "valkey"],
};
