import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An order as the service keeps it: it changes, and may be cancelled. */
export interface Order {
  readonly id: number;
  readonly customer: string;
  /** In the smallest unit, as text: a total may be larger than a JavaScript number tells apart. */
  readonly total_cents: string;
  readonly placed_at: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
}

/** One change: of an order, or that it was cancelled. */
interface Change {
  readonly id: number;
  readonly order: Order | null;
}

/**
 * A shop with an HTTP interface as many services have it, on 127.0.0.1:
 *
 * - `GET /changes?after=CURSOR&limit=N` gives changes, oldest first, and `next`, the cursor of the following page;
 * - `GET /customers` gives all customers, with an `ETag`; asked with `If-None-Match` it answers 304 where nothing changed;
 * - every `busyEach`th request is answered with 429 and `Retry-After`, and requests need `Authorization: Bearer …`.
 */
export class Shop implements AsyncDisposable {
  readonly token = "secret-of-the-shop";
  /** Requests that were answered, by status. */
  readonly answered = new Map<number, number>();
  busyEach = 4;
  readonly #orders = new Map<number, Order>();
  readonly #customers = new Map<string, { readonly name: string; readonly city: string }>();
  readonly #changes: Change[] = [];
  #requests = 0;
  readonly #server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://shop");
    const { authorization, "if-none-match": tag } = request.headers;
    this.#requests += 1;
    if (authorization !== `Bearer ${this.token}`) this.#answer(response, 401, { error: "no such token" });
    else if (this.#requests % this.busyEach === 0)
      this.#answer(response, 429, { error: "slow down" }, { "retry-after": "0.05" });
    else if (url.pathname === "/changes") this.#giveChanges(url, response);
    else if (url.pathname === "/customers") this.#giveCustomers(tag, response);
    else this.#answer(response, 404, { error: "no such path" });
  });

  static async open(): Promise<Shop> {
    const shop = new Shop();
    await new Promise<void>((resolve) => shop.#server.listen(0, "127.0.0.1", resolve));
    return shop;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  place(order: Order): void {
    this.#orders.set(order.id, order);
    this.#changes.push({ id: order.id, order });
  }

  cancel(id: number): void {
    if (this.#orders.delete(id)) this.#changes.push({ id, order: null });
  }

  greet(id: string, name: string, city: string): void {
    this.#customers.set(id, { name, city });
  }

  forget(id: string): void {
    this.#customers.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #giveChanges({ searchParams }: URL, response: ServerResponse): void {
    const after = Number(searchParams.get("after") ?? 0);
    const page = this.#changes.slice(after, after + Math.min(200, Number(searchParams.get("limit") ?? 50)));
    this.#answer(response, 200, {
      changes: page,
      next: after + page.length,
      more: after + page.length < this.#changes.length,
    });
  }

  #giveCustomers(tag: string | undefined, response: ServerResponse): void {
    const customers = [...this.#customers].map(([id, customer]) => ({ id, ...customer }));
    const now = `"${createHash("sha256").update(JSON.stringify(customers)).digest("hex").slice(0, 16)}"`;
    if (tag === now) this.#answer(response, 304, null, { etag: now });
    else this.#answer(response, 200, { customers }, { etag: now });
  }

  #answer(
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    this.answered.set(status, (this.answered.get(status) ?? 0) + 1);
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(body === null ? undefined : JSON.stringify(body));
  }
}

const names = ["Ada", "Barbara", "Edsger", "Grace", "Tony"];

/** A shop with customers and orders in it. */
export async function filledShop(orders = 230): Promise<Shop> {
  const shop = await Shop.open();
  for (const [index, name] of names.entries()) shop.greet(`c${index}`, name, index % 2 === 0 ? "Oslo" : "Turin");
  for (let id = 1; id <= orders; id++) shop.place(order(id));
  return shop;
}

/** The order of this id, as the shop has it at first. */
export function order(id: number): Order {
  return {
    id,
    customer: `c${id % names.length}`,
    total_cents: String(90_071_992_547_409_910n + BigInt(id)),
    placed_at: new Date(Date.UTC(2026, 0, 1) + id * 3_600_000).toISOString(),
    lines: Array.from({ length: 1 + (id % 3) }, (_, line) => ({ sku: `sku-${(id + line) % 7}`, quantity: 1 + line })),
  };
}
