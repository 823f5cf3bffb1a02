import type { Answers, Question } from "./messages.ts";
import type { Unit } from "./unit.ts";

/** So many changes of schemas are told. */
const mostSchemaChanges = 500;

type Asked = (unit: Unit, question: Extract<Question, { kind: "copies" }>) => Promise<Answers["copies"] | null>;

/** Looks how copies stand: asks the workers of their destinations. */
export class Looks {
  readonly #asked: Asked;
  readonly #then: (unit: Unit) => void;

  /** `then` is called after each look, also where the worker could not tell. */
  constructor(asked: Asked, then: (unit: Unit) => void) {
    this.#asked = asked;
    this.#then = then;
  }

  /** `recount`: tables whose rows changed; `null`: all are counted. */
  at(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const looking = this.#look(unit, recount).finally(() => {
      if (unit.looking === looking) unit.looking = null;
    });
    unit.looking = looking;
    return looking;
  }

  async #look(unit: Unit, recount: readonly string[] | null): Promise<void> {
    const known = unit.tables;
    const question = { kind: "copies", recount: known === null ? null : recount, changes: mostSchemaChanges } as const;
    const found = await this.#asked(unit, question);
    // What was known before stays where the worker can't look now.
    if (found !== null) {
      unit.tables = found.tables.map((table) => ({
        ...table,
        rows: table.rows ?? known?.find((one) => one.table === table.table)?.rows ?? null,
      }));
      unit.changes = found.changes;
    }
    this.#then(unit);
  }
}
