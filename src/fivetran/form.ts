import { optionSettings } from "./options.ts";
import type { Condition, ServedSetting, ServedSource } from "./served-source.ts";

/** A certificate has a few thousand bytes; a bundle of authorities some hundred thousand. */
const mostFileBytes = 1 << 20;

/** The test of a source that names none: its whole `check`. */
const wholeCheck = { connect: "Connect to the source" };

/** The form for a source's settings, with the tests that it offers. */
export function configurationForm({ definition, settings }: ServedSource): object {
  return {
    schemaSelectionSupported: true,
    tableSelectionSupported: true,
    fields: fields([...settings, ...optionSettings(definition.name)]),
    tests: Object.entries(configurationTests({ definition })).map(([name, label]) => ({ name, label })),
  };
}

/** The tests that the form offers: label by name. */
export function configurationTests({ definition }: Pick<ServedSource, "definition">): Readonly<Record<string, string>> {
  return definition.checks ?? wholeCheck;
}

/** Settings that depend on the same value are one field, at the place of the first of them. */
function fields(settings: readonly ServedSetting[]): readonly object[] {
  const groups = new Map<string, ServedSetting[]>();
  for (const setting of settings) {
    const { when } = setting;
    const group = when == null ? setting.name : JSON.stringify(when);
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  return [...groups.values()].map((group) => {
    const [{ when }] = group as [ServedSetting];
    return when == null ? field(group[0]!) : conditional(when, group);
  });
}

function conditional({ setting, is }: Condition, group: readonly ServedSetting[]): object {
  const value = typeof is === "boolean" ? { boolValue: is } : { stringValue: is };
  return {
    name: `${setting}_${String(is)}`,
    label: group.map(({ title }) => title).join(", "),
    required: false,
    conditionalFields: { condition: { conditionField: setting, ...value }, fields: group.map(field) },
  };
}

function field(setting: ServedSetting): object {
  const { name, title, description, required } = setting;
  return { name, label: title, required, description, ...control(setting), ...defaultOf(setting) };
}

/** The form field for a setting: the first one that fits. */
function control({ name, secret, file, type, choices, default: fallback }: ServedSetting): object {
  if (secret || isPrivateKey(name)) return { textField: "Password" };
  if (file) {
    const allowedFileType = [".pem", ".crt", ".cer", ".key"];
    return { uploadField: { allowedFileType, maxFileSizeBytes: mostFileBytes } };
  }
  if (choices !== null) return { dropdownField: { dropdownField: choices } };
  if (type === "boolean" || typeof fallback === "boolean") return { toggleField: {} };
  return { textField: "PlainText" };
}

/** A private key, under whatever name: `sslkey`, `ssl_key`, `key_file`. Uploads may be shown, a password never is. */
function isPrivateKey(name: string): boolean {
  return /(^|_|ssl)key(_file)?$/.test(name);
}

function defaultOf({ secret, default: value }: ServedSetting): object {
  if (secret || value === undefined || value === null || value === "") return {};
  return { defaultValue: typeof value === "string" ? value : JSON.stringify(value) };
}
