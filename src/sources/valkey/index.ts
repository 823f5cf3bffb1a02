import { definition as redis } from "../redis/index.ts";

export const definition: typeof redis = { ...redis, name: "valkey", title: "Valkey", kin: ["redis", "dragonflydb"] };
