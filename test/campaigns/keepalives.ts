import { followIdle } from "../end-to-end/idle.ts";
import { startOwnPostgresql } from "../servers/postgresql.ts";

/**
 * Follows an idle database through many keepalives, while another database is written: `npx tsx test/campaigns/keepalives.ts
 * [keepalives]`. Needs `npm run build` before. 10,000 take half an hour.
 */
const keepalives = Number(process.argv[2] ?? 10_000);

await using server = await startOwnPostgresql();
const { said, ...idle } = await followIdle(server, keepalives, 600);
process.stdout.write(`${said}\n${JSON.stringify(idle)}\n`);
