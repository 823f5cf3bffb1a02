import type { ComponentChildren, JSX } from "preact";
import type { ConnectionReport } from "../../service/api.ts";
import { moment } from "../../toolkit/figures.ts";
import { useClock } from "../context.ts";
import { freshness, localTime, relative, type Tone } from "../format.ts";

const shapes: Readonly<Record<Tone, JSX.Element>> = {
  ok: <path d="M3.5 8.5l3 3 6-7" fill="none" stroke="currentColor" stroke-width="2.2" />,
  run: <path d="M5 3.5v9l7.5-4.5z" fill="currentColor" />,
  warn: <path d="M8 2.5l6.2 11H1.8z" fill="currentColor" />,
  bad: <path d="M5.2 2h5.6L14 5.2v5.6L10.8 14H5.2L2 10.8V5.2z" fill="currentColor" />,
  idle: <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="2" />,
};

/** A state: shape, color and word. */
export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  return (
    <span class={`badge tone-${tone}`}>
      <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
        {shapes[tone]}
      </svg>
      {children}
    </span>
  );
}

/** A time, as what it is from now. The exact one is in its title. */
export function When({ at, none = "never" }: { readonly at: string | null; readonly none?: string }) {
  const text = useClock((now) => (at === null ? none : relative(at, now)));
  if (at === null) return <span class="faint">{none}</span>;
  return (
    <time dateTime={at} title={`${localTime(at)}, in UTC ${moment(at)}`}>
      {text}
    </time>
  );
}

/** When something is to happen. */
export function Next({ at, none }: { readonly at: string | null; readonly none: string }) {
  const due = useClock((now) => at !== null && Date.parse(at) <= now);
  return due ? <span>due now</span> : <When at={at} none={none} />;
}

/** A time that must be exact. */
export function At({ at }: { readonly at: string }) {
  return (
    <time dateTime={at} title={`in UTC ${moment(at)}`} class="nowrap">
      {localTime(at)}
    </time>
  );
}

/** How old the copy is, beside its limit: as number and bar. */
export function Age({ connection }: { readonly connection: Pick<ConnectionReport, "asOf" | "freshness"> }) {
  // A string changes only when what is seen does.
  const [tone, used, text] = useClock((now) => {
    const shown = freshness(connection, now);
    return `${shown.tone}|${shown.used === null ? "" : Math.round(shown.used * 100)}|${shown.text}`;
  }).split("|") as [string, string, string];
  return (
    <span class={`age age-${tone}`}>
      <span class="age-text">{text}</span>
      {used !== "" && <Bar fraction={Number(used) / 100} label={`age of the copy: ${text}`} role="meter" />}
    </span>
  );
}

/** How much of something is used or done, 0–1. */
export function Bar(props: {
  readonly fraction: number;
  readonly label: string;
  readonly role?: "meter" | "progressbar";
}) {
  const value = Math.round(props.fraction * 100);
  return (
    <span
      class="bar"
      role={props.role ?? "progressbar"}
      aria-label={props.label}
      aria-valuenow={value}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span class="bar-fill" style={{ transform: `scaleX(${value / 100})` }} />
    </span>
  );
}

/** One fact with its name. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** What a screen shows until its data is there, or when it can't be had. */
export function Pending({ error, retry }: { readonly error: Error | null; readonly retry: () => void }) {
  if (error === null) return <p class="faint pending">Loading …</p>;
  return (
    <div class="notice tone-bad" role="alert">
      <p>{error.message}</p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty faint">{children}</p>;
}

/** A choice of one from few, such as a filter. */
export function Choice<Value extends string>(props: {
  readonly label: string;
  readonly options: readonly (readonly [value: Value, text: string, count?: number])[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, text, count]) => (
        <button
          type="button"
          key={value}
          class="chip"
          aria-pressed={value === props.value}
          onClick={() => props.onChange(value)}
        >
          {text}
          {count !== undefined && <span class="chip-count">{count}</span>}
        </button>
      ))}
    </div>
  );
}

export function Search(props: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}) {
  return (
    <input
      type="search"
      class="search"
      aria-label={props.label}
      placeholder={props.label}
      value={props.value}
      onInput={(event) => props.onChange(event.currentTarget.value)}
    />
  );
}
