import { Argument, Command, type Option } from "commander";
import { examples } from "./options.ts";
import type { Environment } from "./environment.ts";

/** What may follow `headwaters`. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly { readonly names: readonly string[]; readonly summary: string }[];
  /** Words that may follow the command: its parts, or the choices of its arguments. */
  readonly words: readonly string[];
}

const scripts: Readonly<Record<string, (commands: readonly Completed[]) => string>> = { bash, zsh, fish };

/** `all`: every command. */
export function completionCommand(environment: Environment, all: () => Promise<readonly Command[]>): Command {
  return new Command("completion")
    .description(
      "Writes a script for a shell to standard output. With it, the shell completes commands, options and their values.",
    )
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .addHelpText(
      "after",
      examples(
        ["completion bash >> ~/.bashrc", "for bash"],
        ['completion zsh > "${fpath[1]}/_headwaters"', "for zsh; compinit must be on"],
        ["completion fish > ~/.config/fish/completions/headwaters.fish", "for fish"],
      ),
    )
    .action(async (shell: string) => {
      environment.stdout.write(scripts[shell]!((await all()).map(completed)));
    });
}

function completed(command: Command): Completed {
  const flags = [...command.options, ...command.commands.flatMap((part) => part.options)];
  const parts = command.commands.map((part) => part.name());
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const byName = new Map(flags.map((option) => [option.long, option]));
  return {
    name: command.name(),
    summary: command.summary(),
    flags: [...[...byName.values()].map(flagOf), { names: ["--help"], summary: "show the help" }],
    words: [...parts, ...choices],
  };
}

function flagOf({ short, long, description }: Option): Completed["flags"][number] {
  return { names: [short, long].filter((name) => name != null), summary: description };
}

function wordsOf({ flags, words }: Completed): string {
  return [...words, ...flags.flatMap(({ names }) => names)].join(" ");
}

function bash(commands: readonly Completed[]): string {
  return `_headwaters() {
  local words
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map(({ name }) => name).join(" ")} help --help --version"
  else
    case "\${COMP_WORDS[1]}" in
${commands.map((command) => `      ${command.name}) words="${wordsOf(command)}" ;;`).join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _headwaters headwaters
`;
}

function zsh(commands: readonly Completed[]): string {
  const described = (name: string, summary: string): string => quoted(`${name.replaceAll(":", "\\:")}:${summary}`);
  const flagsOf = ({ flags }: Completed): string =>
    flags.flatMap(({ names, summary }) => names.map((name) => described(name, summary))).join(" ");
  return `#compdef headwaters
_headwaters() {
  local -a items
  if (( CURRENT == 2 )); then
    items=(${commands.map(({ name, summary }) => described(name, summary)).join(" ")})
    _describe command items
    return
  fi
  case "\${words[2]}" in
${commands.map((command) => `    ${command.name}) items=(${command.words.map(quoted).join(" ")} ${flagsOf(command)}) ;;`).join("\n")}
  esac
  _describe argument items
  _files
}
if [ "\${funcstack[1]}" = "_headwaters" ]; then _headwaters "$@"; else compdef _headwaters headwaters; fi
`;
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, summary, flags, words }) => {
    const within = `-n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c headwaters -f -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
      ...(words.length === 0 ? [] : [`complete -c headwaters ${within} -a '${words.join(" ")}'`]),
      ...flags.map(({ names, summary: meaning }) => {
        const flag = names.map((one) => (one.startsWith("--") ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`)).join(" ");
        return `complete -c headwaters ${within} ${flag} -d ${quoted(meaning)}`;
      }),
    ];
  });
  return `${lines.join("\n")}\n`;
}

/** For shells in which, inside single quotes, only the quote is special. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}
