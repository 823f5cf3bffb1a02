import type { ComponentChildren } from "preact";
import type { ErrorReport } from "../../service/api.ts";
import { here } from "../format.ts";

/** What to do about an error, by its remedy. */
const remedies: Readonly<Record<ErrorReport["remedy"], string>> = {
  retry: "It may pass by itself: the next run tries it again.",
  reconfigure: "Change a setting, a privilege or the machine.",
  resync: "Agree to it here, or reset the table.",
  report: "This is a defect. Report it with the log of the run.",
};

/** An error: its code, what is wrong, what to do, and where it came up. */
export function Problem(props: {
  readonly error: ErrorReport;
  readonly tone?: "bad" | "warn";
  readonly children?: ComponentChildren;
}) {
  const { code, message, hint, remedy } = here(props.error);
  return (
    <article class={`problem tone-${props.tone ?? (remedy === "retry" ? "warn" : "bad")}`}>
      <p class="problem-head">
        <code class="code">{code}</code>
        <span class="problem-message">{message}</span>
      </p>
      <p class="problem-hint">
        <b>What to do:</b> {hint ?? remedies[remedy]}
      </p>
      {props.children}
    </article>
  );
}
