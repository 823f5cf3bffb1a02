import type { ServedSource } from "../fivetran/served-source.ts";
import type { SourceDefinition } from "../protocol/source.ts";
import { invalid, validate } from "./configuration/problems.ts";
import { settingNames, settingsOf } from "./configuration/settings.ts";
import type { Redactor } from "./redact.ts";

/** A source as it is served to Fivetran. Its settings are checked like those of a file. */
export function servedSource(definition: SourceDefinition, redactor: Redactor): ServedSource {
  const settings = settingsOf(definition.configuration);
  const secrets = new Set(settings.filter(({ secret }) => secret).map(({ name }) => name));
  return {
    definition,
    settings: settings.map(({ path, ...setting }) => ({ ...setting, file: path !== "no" && !setting.secret })),
    configure(values) {
      const { output, problems } = validate(definition.configuration, values, {
        at: [],
        secrets,
        known: (path) => settingNames(definition.configuration, path),
      });
      if (output === null) throw invalid(problems, ({ 0: name }) => ({ label: String(name), file: null, line: null }));
      return output;
    },
    hide: (secret) => redactor.add(secret),
    redact: (text) => redactor.text(text),
  };
}
