import { expect, test } from "vitest";
import { exitCodes } from "../../src/cli/exit-codes.ts";
import { type ErrorCode, errorCodes } from "../../src/protocol/errors.ts";

/** What a person does about each code. The hint of an error says it of the case at hand. */
const whatToDo: Readonly<Record<ErrorCode, string>> = {
  CONFIGURATION_INVALID: "Change the setting that the message names. [Settings](configuration.md) lists all.",
  HOST_UNKNOWN: "Check the spelling of the host, and the DNS of this machine.",
  CONNECTION_REFUSED: "Start the server, or correct host and port.",
  CONNECTION_TIMEOUT: "Check firewalls between this machine and the server.",
  CONNECTION_LOST: "Run the command again. If it happens often, look at the log of the server and at the network.",
  SERVER_UNAVAILABLE: "Wait until the server is ready, or give it more connections.",
  PROTOCOL_MISMATCH: "Correct host, port or the type of the source.",
  TLS_MISMATCH: "Turn TLS on or off: [settings for TLS](operating/security.md#tls).",
  TLS_UNVERIFIED: "Name the authority that signed the certificate, or correct the host name.",
  LOGIN_FAILED: "Correct user and password, and check that the variable with the password is set.",
  DATABASE_UNKNOWN: "Correct the name. The message lists the names that exist, if the server tells them.",
  SCHEMA_UNKNOWN: "Correct `schema`.",
  TABLE_UNKNOWN: "Correct `tables`, or remove the table from it.",
  TABLE_CHANGED: "Nothing, unless it happens again and again.",
  PRIVILEGE_MISSING: "Give the user the right that `headwaters check` names.",
  NO_TABLES: "Select a table, and give the user the right to read it.",
  NAMES_COLLIDE: "Give one of them another name with `rename`.",
  COLUMNS_TOO_MANY: "Leave out fields with `columns.exclude`, or put them into one field at the source.",
  CURSOR_INVALID: "Correct `cursor`: it must be a timestamp column of the table.",
  VALUE_OUT_OF_RANGE: "Set the type of the column, such as `types: { price: STRING }` in `overrides`.",
  READ_CONFLICT: "Nothing, unless it happens again and again.",
  READ_TIMEOUT: "Raise the timeout that the hint names, or spare the server.",
  SOURCE_MISTAKEN: "Correct the code of [your source](sdk.md).",
  SOURCE_FAILED: "Report it.",
  SCOPE_CHANGED: "If the change is right, run `headwaters sync --accept-scope`. If not, restore the settings.",
  STATE_INVALID: "Import another state, or `reset` the table.",
  KEY_DUPLICATE: "Set the type of the key column to STRING, or correct the rows in the source.",
  DELETES_STOPPED:
    "If the deletes are right, run `headwaters sync --accept-deletes`: see [deletes](how-to/deletes.md).",
  SCHEMA_CHANGE_BLOCKED: "Allow the change with `schemaChanges`: see [schema changes](how-to/schema-changes.md).",
  SYNC_RUNNING: "Wait until the other sync has ended. The message says where it runs.",
  SERVICE_RUNNING: "Use the service that runs, or stop it. The message names its process.",
  DESTINATION_BUSY: "Close the program that the message names.",
  LEASE_LOST: "Nothing. The other writer continues.",
  WRITE_CONFLICT: "Run the command again.",
  DESTINATION_EMPTY: "Run `headwaters sync` first.",
  DESTINATION_UNUSABLE: "Do what the hint says: a path, a right, or `memory_limit`.",
  DESTINATION_FULL: "Free some space.",
  DESTINATION_FAILED: "Report it.",
  DEFECT: "Report it.",
};

/** `npx vitest run test/docs -u` writes the page anew. */
test("the page of error codes is that of the code", async () => {
  const rows = Object.entries(errorCodes).map(
    ([code, [remedy, meaning]]) =>
      `| \`${code}\` | ${meaning} | ${whatToDo[code as ErrorCode]} | ${remedy} | ${exitCodes[remedy][0]} |`,
  );
  const page = `# Error codes

Every error has a code, such as \`LOGIN_FAILED\`. The error message says what is wrong, and its hint says what to do. The remedy of the
code decides whether Headwaters tries again, and with which exit code the command ends.

| remedy | what to do |
|---|---|
| retry | Nothing at first: it is a temporary problem. Headwaters tries again after a pause, split by split. If that does not help, the table fails until the next sync. |
| reconfigure | Change a setting, a privilege or the machine. |
| resync | The copy no longer fits the source. Agree to the change with a flag, or \`reset\` the table. |
| report | It is a defect of Headwaters or of a server. Report it, with the output of \`--log-level debug\`. |

| code | meaning | what to do | remedy | exit code |
|---|---|---|---|---|
${rows.join("\n")}
`;
  await expect(page).toMatchFileSnapshot("../../docs/errors.md");
});
