import { asHeadwatersError } from "../protocol/errors.ts";
import type { Log } from "../protocol/log.ts";
import type { CheckResult } from "../protocol/source.ts";
import { configurationTests } from "./form.ts";
import { openSource } from "./open-source.ts";
import type { ServedSource } from "./served-source.ts";
import { explain } from "./status.ts";

/**
 * Runs one test of the form. Resolves to what is wrong, or to `null`. If an earlier check failed so that this one did not
 * run, that failure is reported.
 */
export async function testSource(
  served: ServedSource,
  name: string,
  configuration: Readonly<Record<string, string>>,
  log: Log,
  signal: AbortSignal,
): Promise<string | null> {
  const known = Object.keys(configurationTests(served));
  if (!known.includes(name)) return `there is no test "${name}"; the tests are ${known.join(", ")}`;
  try {
    await using open = await openSource(served, configuration, log, signal);
    const results: CheckResult[] = [];
    for await (const result of open.source.check(signal)) {
      if (result.status === "warning") log.warn(`${result.label}: ${result.message}`);
      results.push(result);
    }
    const isNamed = served.definition.checks !== undefined;
    const own = results.filter((result) => !isNamed || result.name === name);
    const failed = (own.length > 0 ? own : results).find(({ status }) => status === "failed");
    return failed === undefined ? null : `${failed.label}: ${failed.message}`;
  } catch (thrown) {
    signal.throwIfAborted();
    return explain(asHeadwatersError(thrown));
  }
}
