import { defineSource, HeadwatersError, z } from "headwaters";
import type { Order } from "./service.ts";

const configuration = z.object({
  url: z.url().meta({ description: "Where the shop answers, as https://shop.example." }),
  token: z.string().min(1).meta({ description: "The token that the shop gave you.", secret: true }),
  pageSize: z.coerce.number().int().min(1).max(200).default(100).meta({ description: "Changes to request at a time." }),
});

interface ChangesPage {
  readonly changes: readonly { readonly id: number; readonly order: Order | null }[];
  readonly next: number;
  readonly more: boolean;
}

interface Customers {
  readonly customers: readonly { readonly id: string; readonly name: string; readonly city: string }[];
}

export default defineSource({
  name: "shop",
  title: "Shop",
  configuration,
  // Orders go on from a cursor; customers are read again only where their ETag is another.
  state: z.object({ cursor: z.number().default(0), customersTag: z.string().optional() }),
  scope: ({ url }) => url,
  schema: {
    customers: { key: ["id"], columns: { id: "STRING", name: "STRING", city: "STRING" } },
    orders: {
      key: ["id"],
      columns: { id: "LONG", customer: "STRING", total: "DECIMAL(20,2)", placed_at: "UTC_DATETIME" },
      // Rows of a table of their own. Where an order has fewer lines than before, those that are gone are deleted.
      lists: { lines: { table: "order_lines", parent: ["order_id"], columns: { sku: "STRING", quantity: "INT" } } },
    },
  },
  async check({ configuration: { url, token }, fetch }) {
    await ask(fetch, `${url}/changes?limit=1`, token);
    return `${url} answers`;
  },
  async *update({ configuration: { url, token, pageSize }, state, upsert, remove, truncate, checkpoint, fetch }) {
    let { cursor, customersTag } = state;
    const customers = await ask(fetch, `${url}/customers`, token, customersTag);
    if (customers.status !== 304) {
      const { customers: all } = (await customers.json()) as Customers;
      // The list is whole: who is not in it is gone. Both are kept together or not at all.
      yield [truncate("customers"), ...all.map((customer) => upsert("customers", customer))];
      customersTag = customers.headers.get("etag") ?? undefined;
      yield checkpoint({ cursor, customersTag });
    }
    for (let more = true; more;) {
      const answer = await ask(fetch, `${url}/changes?after=${cursor}&limit=${pageSize}`, token);
      const page = (await answer.json()) as ChangesPage;
      yield page.changes.map(({ id, order }) =>
        order === null ? remove("orders", { id }) : upsert("orders", rowOf(order)),
      );
      ({ next: cursor, more } = page);
      yield checkpoint({ cursor, customersTag });
    }
  },
});

function rowOf({ id, customer, total_cents, placed_at, lines }: Order) {
  // By its digits: a JavaScript number would round it.
  return { id, customer, total: `${total_cents}e-2`, placed_at, lines };
}

/** One request. The `fetch` of the sync waits where the service is busy (429, 5xx), and asks again. */
async function ask(fetch: typeof globalThis.fetch, url: string, token: string, tag?: string): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, ...(tag === undefined ? {} : { "if-none-match": tag }) };
  const response = await fetch(url, { headers });
  if (response.ok || response.status === 304) return response;
  await response.body?.cancel();
  if (response.status === 401 || response.status === 403)
    throw new HeadwatersError("LOGIN_FAILED", "token: the shop refuses it", { hint: "Ask the shop for another." });
  throw new Error(`${url} answers ${response.status}`);
}
