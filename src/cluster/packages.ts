import { HeadwatersError } from "../protocol/errors.ts";

/** The packages with which Headwaters works on Temporal. Users install them: with their bundler they take 260 MB. */
const packages = ["@temporalio/client", "@temporalio/worker", "@temporalio/activity", "@temporalio/workflow"];

/** Loads some of the packages. Throws `CONFIGURATION_INVALID`, with the command that adds them, if they are missing. */
export async function withPackages<Loaded>(load: () => Promise<Loaded>): Promise<Loaded> {
  try {
    return await load();
  } catch (thrown) {
    const isMissing = thrown instanceof Error && "code" in thrown && thrown.code === "ERR_MODULE_NOT_FOUND";
    if (!isMissing) throw thrown;
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `Temporal's packages are missing: ${thrown.message.split("\n")[0]}`,
      {
        hint: `Add them beside Headwaters: npm install ${packages.slice(0, 2).join(" ")} ${packages.slice(2).join(" ")}`,
        cause: thrown,
      },
    );
  }
}
