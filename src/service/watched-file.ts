import { asHeadwatersError } from "../protocol/errors.ts";
import type { ErrorReport } from "./api.ts";
import type { Host, Loaded } from "./host.ts";
import { errorReport } from "./reports.ts";

/** How often to check whether the file has changed, in milliseconds. */
const lookEach = 2_000;

/** The file of connections. A valid change is used; otherwise the old settings stay. */
export class WatchedFile implements Disposable {
  /** Why the current file is not used; `null`: it is used. */
  error: ErrorReport | null = null;
  readonly #host: Host;
  readonly #take: (loaded: Loaded) => void;
  readonly #tell: (error: ErrorReport | null) => void;
  #text: string;
  #timer: NodeJS.Timeout | null = null;

  /** `text`: of the first file. `tell` is called whenever `error` changes, or a changed file is used. */
  constructor(host: Host, text: string, take: (loaded: Loaded) => void, tell: (error: ErrorReport | null) => void) {
    this.#host = host;
    this.#text = text;
    this.#take = take;
    this.#tell = tell;
  }

  watch(): void {
    this.#timer = setInterval(() => void this.#look(), lookEach);
  }

  async #look(): Promise<void> {
    try {
      const text = await this.#host.text();
      if (text === this.#text) return;
      this.#text = text;
      const loaded = await this.#host.load();
      const wrong = loaded.connections.find(({ error }) => error !== null)?.error ?? null;
      if (wrong !== null) return this.#refuse(wrong);
      this.error = null;
      this.#take(loaded);
      this.#host.log.info("the file of connections was read again");
      this.#tell(null);
    } catch (thrown) {
      const error = errorReport(asHeadwatersError(thrown));
      // What it needs may be there later.
      if (error.remedy === "retry") this.#text = "";
      this.#refuse(error);
    }
  }

  #refuse(error: ErrorReport): void {
    if (JSON.stringify(error) === JSON.stringify(this.error)) return;
    this.error = error;
    this.#host.log.warn(`the file of connections has changed, but can't be used: ${error.message}`);
    this.#tell(error);
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}
