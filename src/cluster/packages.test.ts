import { expect, test } from "vitest";
import { withPackages } from "./packages.ts";

test("packages that are missing are named, with the command that adds them", async () => {
  const missing = Object.assign(new Error("Cannot find package '@temporalio/worker' imported from x"), {
    code: "ERR_MODULE_NOT_FOUND",
  });
  await expect(withPackages(() => Promise.reject(missing))).rejects.toMatchObject({
    code: "CONFIGURATION_INVALID",
    message: "Temporal's packages are missing: Cannot find package '@temporalio/worker' imported from x",
    hint: expect.stringContaining("npm install @temporalio/client @temporalio/worker") as string,
  });
});
