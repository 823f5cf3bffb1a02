import type { z } from "zod";
import type { Action, answers, ErrorReport, Run } from "../service/api.ts";

export type Answer<Path extends keyof typeof answers> = z.output<(typeof answers)[Path]>;
export type ServiceReport = Answer<"GET /service">;
export type RunDetails = Answer<"GET /runs/{id}">;

/** The service refused a request, or could not be reached (status 0). */
export class RequestError extends Error {
  readonly status: number;
  readonly hint: string | null;

  constructor(status: number, message: string, hint: string | null) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** The HTTP API of the service, by one token. All methods throw {@link RequestError}. */
export class Client {
  readonly #token: string;
  readonly #refused: () => void;
  /** Milliseconds by which the service's clock is ahead of the browser's. */
  skew = 0;

  /** `refused` is called when the service does not take the token. */
  constructor(token: string, refused: () => void) {
    this.#token = token;
    this.#refused = refused;
  }

  service = (): Promise<ServiceReport> => this.#get("/service");

  connections = (): Promise<Answer<"GET /connections">> => this.#get("/connections");

  tables = (name: string): Promise<Answer<"GET /connections/{name}/tables">> => this.#get(at(name, "/tables"));

  progress = (name: string): Promise<Answer<"GET /connections/{name}/progress">> => this.#get(at(name, "/progress"));

  schemaChanges = (name: string): Promise<Answer<"GET /connections/{name}/schema-changes">> =>
    this.#get(at(name, "/schema-changes"));

  run = (id: string): Promise<RunDetails> => this.#get(`/runs/${encodeURIComponent(id)}`);

  log = (id: string, search: string): Promise<Answer<"GET /runs/{id}/log">> =>
    this.#get(
      `/runs/${encodeURIComponent(id)}/log?${new URLSearchParams({ limit: "5000", ...(search && { search }) })}`,
    );

  /** Runs that began after `from`, newest first, at most `most`. */
  async runs(name: string, from: number, most = 2_000): Promise<readonly Run[]> {
    const runs: Run[] = [];
    let before = "";
    while (runs.length < most) {
      const query = new URLSearchParams({ limit: String(page), ...(before && { before }) });
      const next: readonly Run[] = await this.#get(at(name, `/runs?${query}`));
      runs.push(...next);
      const last = next.at(-1);
      if (last === undefined || next.length < page || Date.parse(last.started) < from) break;
      before = last.started;
    }
    return runs.filter(({ started }) => Date.parse(started) >= from);
  }

  act = (name: string, action: Action): Promise<Answer<"POST /connections/{name}/actions">> =>
    this.#send("POST", at(name, "/actions"), JSON.stringify(action));

  testAlert = (name: string): Promise<Answer<"POST /alerts/{name}/test">> =>
    this.#send("POST", `/alerts/${encodeURIComponent(name)}/test`, "{}");

  events = (lastId: string, signal: AbortSignal): Promise<Response> =>
    this.#fetch("/events", {
      headers: { Accept: "text/event-stream", ...(lastId !== "" && { "Last-Event-ID": lastId }) },
      signal,
    });

  async #get<Result>(path: string): Promise<Result> {
    return (await (await this.#fetch(path, {})).json()) as Result;
  }

  async #send<Result>(method: string, path: string, body: string): Promise<Result> {
    const headers = { "Content-Type": "application/json" };
    return (await (await this.#fetch(path, { method, body, headers })).json()) as Result;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`/api/v1${path}`, {
        cache: "no-store",
        ...init,
        headers: { ...init.headers, Authorization: `Bearer ${this.#token}` },
      });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      throw new RequestError(0, "The service did not answer.", "Try again when it is back.");
    }
    this.#compareClocks(response);
    if (response.ok) return response;
    if (response.status === 401) this.#refused();
    throw await refusal(response);
  }

  /** The header has whole seconds, and the answer took its time: less than two seconds say nothing. */
  #compareClocks(response: Response): void {
    const skew = Date.parse(response.headers.get("Date") ?? "") - Date.now();
    if (!Number.isNaN(skew)) this.skew = Math.abs(skew) < 2_000 ? 0 : skew;
  }
}

/** The most runs that the service gives at once. */
const page = 500;

function at(name: string, rest: string): string {
  return `/connections/${encodeURIComponent(name)}${rest}`;
}

async function refusal(response: Response): Promise<RequestError> {
  // A proxy may answer in its own words.
  const said = (await response.json().catch(() => null)) as { readonly error?: Partial<ErrorReport> } | null;
  const { message, hint } = said?.error ?? {};
  return new RequestError(
    response.status,
    typeof message === "string" ? message : `The service answered ${response.status}.`,
    typeof hint === "string" ? hint : null,
  );
}
