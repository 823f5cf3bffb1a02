import { expect, test } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.ts";
import { runCli } from "../cli/run-cli.ts";
import { pages } from "./pages.ts";

async function helpOf(...argv: readonly string[]): Promise<string> {
  const { code, out } = await runCli([...argv, "--help"]);
  expect(code).toBe(0);
  return out;
}

/** The names in the list of commands of a help. */
function commandsIn(help: string): readonly string[] {
  const list = /\n(?:Commands|Parts):\n((?: {2}.*\n)+)/.exec(help)?.[1] ?? "";
  return [...list.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name!).filter((name) => name !== "help");
}

/** Every command with its help; those within others as `state show`. */
const helps = new Map<string, string>();
for (const name of commandsIn(await helpOf())) {
  const help = await helpOf(name);
  helps.set(name, help);
  for (const part of commandsIn(help)) helps.set(`${name} ${part}`, await helpOf(name, part));
}

/** The part of a help that all commands share. */
const shared = /\nExit codes:\n(?: {2}.*\n)+/;

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of commands is that of the program", async () => {
  const codes = Object.values(exitCodes).map(([code, meaning]) => `| ${code} | ${meaning.replaceAll("|", "\\|")} |`);
  const sections = [...helps].map(
    ([name, help]) => `## headwaters ${name}\n\n\`\`\`text\n${help.replace(shared, "").trim()}\n\`\`\`\n`,
  );
  const page = `# Commands

This page shows the help of every command. \`headwaters <command> --help\` shows the same in the terminal. A command works on all
connections of \`headwaters.yaml\`, unless you name some.

## Exit codes

| code | meaning |
|---|---|
${codes.join("\n")}

If several connections or tables end differently, the command ends with the code of the worst. The codes 1 to 4 come with an
[error code](../errors.md).

${sections.join("\n")}`;
  await expect(page).toMatchFileSnapshot("../../docs/reference/commands.md");
});

const used = pages.flatMap(({ path, steps }) =>
  steps.flatMap((step) =>
    step.kind === "command" && step.line.startsWith("headwaters ") ? [[path, step.line] as const] : [],
  ),
);

test.each(used)("%s: %s names a command and flags that exist", (_, line) => {
  const [first = "", second = ""] = line.split(" ").slice(1);
  if (first.startsWith("-")) return expect(["--version", "--help"]).toContain(first);
  const help = helps.get(`${first} ${second}`) ?? helps.get(first);
  const flags = [...line.matchAll(/ (--[a-z-]+)/g)].map(([, flag]) => flag!);
  expect(help, `the command ${first}`).toBeDefined();
  for (const flag of flags) expect(help).toMatch(new RegExp(`${flag}\\b`));
});
