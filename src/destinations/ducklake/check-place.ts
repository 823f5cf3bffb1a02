import type { DestinationContext } from "../../protocol/destination.ts";
import { HeadwatersError } from "../../protocol/errors.ts";
import type { CheckResult } from "../../protocol/source.ts";
import { failedCheck } from "../../toolkit/checks.ts";
import { assertCreatable, assertFolderCreatable } from "../../toolkit/creatable.ts";
import { catalogOf } from "./catalog.ts";
import type { Configuration } from "./config.ts";
import { isS3 } from "./s3.ts";
import { openWarehouse } from "./warehouse.ts";

/** Checks the lake, or where there is none yet, whether its local files can be made. Leaves nothing behind. */
export async function* checkDestination(
  configuration: Configuration,
  context: DestinationContext,
  signal: AbortSignal,
): AsyncGenerator<CheckResult> {
  const about = { name: "destination", label: "Open the destination (DuckLake)" } as const;
  try {
    await using warehouse = await openWarehouse(configuration, context, { create: false });
    yield* warehouse.check(signal);
    return;
  } catch (thrown) {
    signal.throwIfAborted();
    if (!(thrown instanceof HeadwatersError)) throw thrown;
    if (thrown.code !== "DESTINATION_EMPTY") {
      yield failedCheck(about.name, about.label, thrown);
      return;
    }
  }
  try {
    const catalog = await catalogOf(configuration);
    const { data } = configuration;
    if (catalog.kind === "file") await assertCreatable("catalog", catalog.path);
    if (data !== undefined && !isS3(data)) await assertFolderCreatable("data", data);
    yield { ...about, status: "ok", message: "it does not exist yet; the first sync creates it" };
  } catch (thrown) {
    yield failedCheck(about.name, about.label, thrown);
  }
}
