import { optionSettings } from "./options.ts";
import type { ServedSetting, ServedSource } from "./served-source.ts";

/** A certificate has a few thousand bytes; a bundle of authorities some hundred thousand. */
const mostFileBytes = 1 << 20;

/** The test of a source that names none: its whole `check`. */
const wholeCheck = { connect: "Connect to the source" };

/** The form for a source's settings, with the tests that it offers. */
export function configurationForm({ definition, settings }: ServedSource): object {
  return {
    schemaSelectionSupported: true,
    tableSelectionSupported: true,
    fields: [...settings, ...optionSettings(definition.name)].map(field),
    tests: Object.entries(definition.checks ?? wholeCheck).map(([name, label]) => ({ name, label })),
  };
}

function field(setting: ServedSetting): object {
  const { name, title, description, required } = setting;
  return { name, label: title, required, description, ...control(setting), ...defaultOf(setting) };
}

/** The form field for a setting: the first one that fits. */
function control({ secret, file, type, choices, default: fallback }: ServedSetting): object {
  if (secret) return { textField: "Password" };
  if (file) {
    const allowedFileType = [".pem", ".crt", ".cer", ".key"];
    return { uploadField: { allowedFileType, maxFileSizeBytes: mostFileBytes } };
  }
  if (choices !== null) return { dropdownField: { dropdownField: choices } };
  if (type === "boolean" || typeof fallback === "boolean") return { toggleField: {} };
  return { textField: "PlainText" };
}

function defaultOf({ secret, default: value }: ServedSetting): object {
  if (secret || value === undefined || value === null || value === "") return {};
  return { defaultValue: typeof value === "string" ? value : JSON.stringify(value) };
}
