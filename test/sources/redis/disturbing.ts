import type { Source } from "../../../src/protocol/source.ts";

/** A source behind which something happens at each operation that is read from the table of keys. */
export function disturbing(source: Source, happens: () => Promise<void>): Source {
  return new Proxy(source, {
    get(target, name) {
      if (name !== "read") {
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      }
      return async function* read(...of: Parameters<Source["read"]>) {
        for await (const operation of target.read(...of)) {
          if (of[1].tables[0] === "dragonfly_data") await happens();
          yield operation;
        }
      };
    },
  });
}
