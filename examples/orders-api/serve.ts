// Runs the shop for whoever wants to try the source by hand: `npx tsx examples/orders-api/serve.ts`, Ctrl-C ends it.
import { filledShop } from "./service.ts";

const shop = await filledShop();
process.stdout.write(`${JSON.stringify({ url: shop.url, token: shop.token }, null, 2)}\n`);
