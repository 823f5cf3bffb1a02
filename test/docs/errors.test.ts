import { expect, test } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.ts";
import { errorCodes } from "../../src/protocol/errors.ts";

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of error codes is that of the code", async () => {
  const rows = Object.entries(errorCodes).map(
    ([code, [remedy, meaning]]) => `| \`${code}\` | ${meaning} | ${remedy} | ${exitCodes[remedy][0]} |`,
  );
  const page = `# Error codes

Every error has a code; the code has a remedy, which alone decides whether it is tried again and how the program ends.

| remedy | what is done about it |
|---|---|
| retry | It may pass by itself: it is tried again with backoff, split by split; then the table fails until the next sync. |
| reconfigure | Change a setting, a privilege or the machine. |
| resync | What was kept no longer fits the source: agree with a flag, or \`reset\` the table. |
| report | A defect of Headwaters or of a server: report it, with the output of \`--log-level debug\`. |

| code | meaning | remedy | exit code |
|---|---|---|---|
${rows.join("\n")}
`;
  await expect(page).toMatchFileSnapshot("../../docs/errors.md");
});
