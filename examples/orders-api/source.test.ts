import { updateChecks } from "headwaters/testing";
import { afterAll, test } from "vitest";
import { filledShop } from "./service.ts";
import source from "./source.ts";

const shop = await filledShop();
let round = 0;

const checks = updateChecks({
  source,
  configuration: { url: shop.url, token: shop.token, pageSize: "40" },
  async change() {
    round += 1;
    const at = new Date(Date.UTC(2026, 5, round)).toISOString();
    shop.place({ id: 1_000 + round, customer: "c1", total_cents: "150", placed_at: at, lines: [] });
    const lines = [{ sku: "sku-9", quantity: round }];
    shop.place({ id: round, customer: "c2", total_cents: "1", placed_at: at, lines: round === 2 ? [] : lines });
    shop.cancel(10 + round);
    shop.greet(`c${10 + round}`, "Radia", "Boston");
    shop.forget(`c${round - 1}`);
  },
});

for (const { name, run } of checks) test(name, run);

afterAll(() => shop[Symbol.asyncDispose]());
