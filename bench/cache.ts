import { fileURLToPath } from "node:url";

/** Where benches work, outside of git. */
export const cacheFolder = fileURLToPath(new URL("../.cache/bench", import.meta.url));
