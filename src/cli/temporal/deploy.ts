import { Command } from "commander";
import type { Difference, Kind, Moments, Wanted } from "../../cluster/schedules.ts";
import { fraction, type Schedule, scheduleText } from "../../service/schedule.ts";
import { counted } from "../../toolkit/figures.ts";
import { defaultFile, readConnections } from "../configuration/load.ts";
import { withEnvFile } from "../configuration/env-file.ts";
import { resolveConnection } from "../configuration/resolve.ts";
import { confirmed } from "../confirm.ts";
import type { Environment } from "../environment.ts";
import { examples, withOutputOptions } from "../options.ts";
import { type OutputOptions, runCommand, type Session } from "../session.ts";
import { fingerprintOf, temporalOf } from "./load.ts";

interface DeployFlags extends OutputOptions {
  readonly file?: string;
  readonly yes?: boolean;
}

export function deployCommand(environment: Environment): Command {
  const command = new Command("deploy")
    .description(
      "Creates Temporal schedules from the schedules of the file. Temporal then has workers sync and verify. Shows what would change and asks. Removes a Temporal schedule if its connection is gone from the file or has no schedule any more. Schedules of other task queues are not changed.",
    )
    .option("-f, --file <path>", `the file with the connections (default: ${defaultFile})`)
    .option("-y, --yes", "do not ask");
  return withOutputOptions(command)
    .addHelpText(
      "after",
      examples(["deploy", "look at what would change, then agree"], ["deploy --yes", "in a script, after each change"]),
    )
    .action((flags: DeployFlags) => runCommand(environment, flags, (session) => deploy(session, flags)));
}

async function deploy(session: Session, { file, yes = false }: DeployFlags): Promise<"ok"> {
  const { output, json, quiet, tell, log } = session;
  const settings = await temporalOf(session, file);
  const wanted = await wantedOf(session, file, settings.heartbeatTimeout, (name) =>
    log.warn(`${name}: schedule: follow is not handed over: have headwaters follow or headwaters up run`),
  );
  const { openSchedules } = await import("../../cluster/schedules.ts");
  await using schedules = await openSchedules(settings);
  const differences = await schedules.compare(wanted);
  const changing = differences.filter(({ kind }) => kind !== "keep");
  if (json) for (const one of differences) tell(nameOf(one), { kind: "schedule", change: one.kind, ...jsonOf(one) });
  else if (!quiet) {
    output.line(`Schedules of task queue ${settings.taskQueue} at ${settings.address}:`);
    for (const one of differences) output.line(lineOf(one));
    if (changing.length === 0) output.line("Nothing to change.");
  }
  if (changing.length === 0) return "ok";
  if (!yes && !(await confirmed(session, "deploy", `Change ${counted(changing.length, "schedule")}?`))) {
    output.error("Nothing was changed.");
    return "ok";
  }
  for (const one of changing) await schedules.apply(one);
  if (!json && !quiet) output.line(`${counted(changing.length, "schedule")} changed.`);
  return "ok";
}

/** Creates Temporal schedules from the file without asking, and logs the changes. */
export async function handOver(session: Session, file: string | undefined): Promise<void> {
  const settings = await temporalOf(session, file);
  const wanted = await wantedOf(session, file, settings.heartbeatTimeout, () => {});
  const { openSchedules } = await import("../../cluster/schedules.ts");
  await using schedules = await openSchedules(settings);
  for (const one of await schedules.compare(wanted)) {
    if (one.kind === "keep") continue;
    await schedules.apply(one);
    session.log.info(`schedules of Temporal: ${lineOf(one).trim()}`);
  }
}

/** The schedules of the file. All settings are checked, as a worker does. Connections that are followed have none. */
async function wantedOf(
  session: Session,
  file: string | undefined,
  heartbeatTimeout: number,
  onFollowed: (connection: string) => void,
): Promise<readonly Wanted[]> {
  const { environment, output } = session;
  const request = { names: [], ...(file === undefined ? {} : { file }) };
  const wanted: Wanted[] = [];
  for (const raw of await readConnections(request, { folder: environment.folder })) {
    const variables = await withEnvFile(raw.folders.destination, environment.variables);
    const { name, service } = await resolveConnection(raw, variables, output.redactor);
    const { schedule, verify } = service;
    if (schedule === "follow") {
      onFollowed(name);
      continue;
    }
    const about = { connection: name, fingerprint: fingerprintOf(raw) };
    const add = (run: Kind, when: Schedule, flags: object): void => {
      const request = { ...about, ...flags, heartbeatTimeout, schedule: scheduleText(when) };
      wanted.push({ run, request, moments: momentsOf(when, name) });
    };
    if (schedule !== undefined) add("sync", schedule, { flags: { trigger: "schedule" } });
    if (verify !== undefined) add("verify", verify, {});
  }
  return wanted;
}

/** Connections of one interval are spread over it. */
function momentsOf(schedule: Schedule, name: string): Moments {
  if ("cron" in schedule) return { cron: expressionsOf(schedule.cron), zone: schedule.zone };
  const every = Math.ceil(schedule.every / 1_000);
  return { every, offset: Math.floor(fraction(name) * every) };
}

/** Of days of the month and days of the week one is enough, as cron has it. Temporal asks for both. */
function expressionsOf(cron: string): readonly string[] {
  const [minute, hour, day, month, weekday] = cron.split(" ");
  if (day === "*" || weekday === "*") return [cron];
  return [`${minute} ${hour} ${day} ${month} *`, `${minute} ${hour} * ${month} ${weekday}`];
}

function nameOf(one: Difference): string {
  return one.kind === "remove" ? one.connection : one.wanted.request.connection;
}

function jsonOf(one: Difference): Readonly<Record<string, unknown>> {
  const schedule = one.kind === "remove" ? null : one.wanted.request.schedule;
  const before = one.kind === "change" || one.kind === "remove" ? (one.before.schedule ?? null) : null;
  return { run: runOf(one), schedule, before };
}

function runOf(one: Difference): Kind {
  return one.kind === "remove" ? one.run : one.wanted.run;
}

const signs: Readonly<Record<Difference["kind"], string>> = { create: "+", change: "~", remove: "-", keep: " " };

function lineOf(one: Difference): string {
  const paused = one.kind !== "remove" && one.isPaused ? " (paused)" : "";
  const verify = runOf(one) === "verify" ? ", verify" : "";
  return `  ${signs[one.kind]} ${nameOf(one)}${verify}: ${whatOf(one)}${paused}`;
}

function whatOf(one: Difference): string {
  if (one.kind === "remove") return one.before.schedule ?? "";
  const { request } = one.wanted;
  if (one.kind !== "change") return request.schedule;
  const { before } = one;
  const changes = [
    before.schedule === request.schedule ? request.schedule : `${before.schedule} → ${request.schedule}`,
    ...(before.fingerprint === request.fingerprint
      ? []
      : [`configuration ${before.fingerprint} → ${request.fingerprint}`]),
    ...(before.heartbeatTimeout === request.heartbeatTimeout ? [] : ["temporal.heartbeatTimeout"]),
  ];
  return changes.join(", ");
}
