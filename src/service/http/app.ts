import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { getConnInfo } from "@hono/node-server/conninfo";
import { z } from "zod";
import { actionSchema, answers, type ErrorReport, runKind } from "../api.ts";
import { runReport, tableRunReport } from "../reports.ts";
import { Unfit } from "../done.ts";
import type { Service } from "../service.ts";
import { hostCheck, isOwnOrigin } from "./hosts.ts";
import { openApi } from "./open-api.ts";
import type { PageFile } from "./page.ts";
import { eventStreams } from "./stream.ts";
import type { Doorkeeper } from "./token.ts";

/** The largest body of a request, in bytes. */
const mostBody = 64 << 10;

export interface AppOptions {
  readonly service: Service;
  readonly doorkeeper: Doorkeeper;
  readonly page: ReadonlyMap<string, PageFile>;
  readonly host: string;
  /** A proxy gives the client's address in X-Forwarded-For. */
  readonly proxy: boolean;
  readonly tls: boolean;
  metrics(): Promise<string>;
}

const headers: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** The HTTP side of the service: API, metrics and page. */
export function httpApp(options: AppOptions): Hono {
  const { service, page, tls } = options;
  const app = new Hono();
  const isOurs = hostCheck(options.host, service.settings.hosts);

  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    if (tls) context.header("Strict-Transport-Security", "max-age=31536000");
    if (context.res.headers.get("Cache-Control") === null) context.header("Cache-Control", "no-store");
  });
  // Probes of a cluster are sent to an address that changes.
  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => context.text("ok\n"));
  app.use(async (context, next) => {
    const host = context.req.header("Host");
    if (!isOurs(host))
      return refuse(
        context,
        403,
        "This host name is not known.",
        "Add the names by which browsers reach the service to service.hosts.",
      );
    if (!isOwnOrigin(context.req.header("Origin"), context.req.header("Sec-Fetch-Site"), host))
      return refuse(context, 403, "Requests from pages of another origin are refused.");
    return next();
  });
  for (const path of ["/api/*", "/metrics"]) {
    app.use(path, async (context, next) => {
      const admission = options.doorkeeper.admit(
        context.req.header("Authorization"),
        addressOf(context, options.proxy),
      );
      if (admission === "admitted") return next();
      if (admission === "refused") {
        context.header("WWW-Authenticate", 'Bearer realm="headwaters"');
        return refuse(
          context,
          401,
          "The token is missing or wrong.",
          "Send the header Authorization: Bearer TOKEN, with the token of `headwaters up`.",
        );
      }
      context.header("Retry-After", String(Math.ceil(admission.waits / 1_000)));
      return refuse(context, 429, "There were too many wrong tokens.", "Wait a minute.");
    });
  }
  app.get("/metrics", async (context) =>
    context.body(await options.metrics(), 200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }),
  );
  app.route("/api/v1", api(options));
  app.get("*", (context) => {
    if (context.req.path.startsWith("/api/")) return context.notFound();
    const file = page.get(context.req.path);
    if (file === undefined && context.req.path !== "/") return context.notFound();
    if (file === undefined)
      return context.text("headwaters up is running. This build has no page; the API is at /api/v1.\n");
    const cached = { ETag: file.tag, "Cache-Control": "no-cache" };
    if (context.req.header("If-None-Match") === file.tag) return context.body(null, 304, cached);
    return context.body(file.body, 200, { ...cached, "Content-Type": file.type });
  });
  app.notFound((context) => {
    const methods = methodsAt(context.req.path);
    if (methods.length === 0) return refuse(context, 404, "There is nothing at this address.");
    context.header("Allow", methods.join(", "));
    return refuse(context, 405, `This address accepts only ${methods.join(", ")}.`);
  });
  app.onError((error, context) => {
    if (error instanceof Unfit) return refuse(context, 409, error.message);
    return refuse(context, 500, "The service failed to answer.", "Please report it.", "report");
  });
  return app;
}

function api({ service }: AppOptions): Hono {
  const app = new Hono();
  const streams = eventStreams(service.events);
  const unknown = (context: Context, what: string): Response => refuse(context, 404, `There is no such ${what}.`);
  app.use(bodyLimit({ maxSize: mostBody, onError: (context) => refuse(context, 413, "The request is too large.") }));
  app.get("/openapi.json", (context) => context.json(openApi(service.version)));
  app.get("/service", (context) => {
    const { concurrency, memoryBytes, alerts } = service.settings;
    return context.json({
      version: service.version,
      started: service.started,
      file: service.file,
      configuration: service.configurationError,
      concurrency,
      memoryBytes,
      // The rest of an address may be a secret.
      alerts: Object.entries(alerts).map(([name, { url }]) => ({ name, url: new URL(url).origin })),
    });
  });
  app.get("/connections", (context) => context.json(service.connections()));
  app.get("/connections/:name", (context) => {
    const found = service.connection(context.req.param("name"));
    return found === null ? unknown(context, "connection") : context.json(found);
  });
  app.get("/connections/:name/tables", async (context) => {
    const found = await service.archive.tables(context.req.param("name"));
    return found === null ? unknown(context, "connection") : context.json(found);
  });
  app.get("/connections/:name/runs", async (context) => {
    const kind = context.req.query("kind") ?? null;
    const before = context.req.query("before") ?? null;
    const limit = limitOf(context.req.query("limit"), 100, 500);
    const known = kind === null ? null : runKind.safeParse(kind);
    if (limit === null || known?.success === false || (before !== null && !moment.safeParse(before).success))
      return refuse(context, 400, "kind must be sync, verify or follow, limit 1 to 500, and before a moment.");
    const found = await service.archive.runs(context.req.param("name"), { kind: known?.data ?? null, before, limit });
    return found === null ? unknown(context, "connection") : context.json(found);
  });
  app.get("/connections/:name/schema-changes", async (context) => {
    const found = await service.archive.schemaChanges(context.req.param("name"));
    return found === null ? unknown(context, "connection") : context.json(found);
  });
  app.get("/connections/:name/progress", (context) => {
    const found = service.progress(context.req.param("name"));
    return found === null ? unknown(context, "connection") : context.json(found);
  });
  app.get("/runs/:id", async (context) => {
    const found = await service.archive.run(context.req.param("id"));
    if (found === null) return unknown(context, "run");
    const { connection, record } = found;
    return context.json({ run: runReport(connection, record), tables: record.tables.map(tableRunReport) });
  });
  app.get("/runs/:id/log", async (context) => {
    const limit = limitOf(context.req.query("limit"), 1_000, 5_000);
    if (limit === null) return refuse(context, 400, "limit must be 1 to 5000.");
    const lines = await service.archive.runLog(context.req.param("id"));
    if (lines === null) return unknown(context, "run");
    const search = (context.req.query("search") ?? "").toLowerCase();
    return context.json(lines.filter(({ message }) => message.toLowerCase().includes(search)).slice(-limit));
  });
  app.get("/events", (context) => {
    const hello = { kind: "hello", version: service.version, started: service.started } as const;
    const opened = streams(hello, context.req.header("Last-Event-ID"));
    if (opened === null)
      return refuse(context, 503, "There are too many readers of events.", "Close other pages.", "retry");
    return context.body(opened, 200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
  });
  app.post("/connections/:name/actions", async (context) => {
    if (!/^application\/json\b/i.test(context.req.header("Content-Type") ?? ""))
      return refuse(context, 415, "The body must be JSON (Content-Type: application/json).");
    const body: unknown = await context.req.json().catch(() => undefined);
    const action = actionSchema.safeParse(body);
    if (!action.success) return refuse(context, 400, "The body is not a known action.", "See /api/v1/openapi.json.");
    const done = service.act(context.req.param("name"), action.data);
    return done === null ? unknown(context, "connection") : context.json(done);
  });
  app.post("/alerts/:name/test", async (context) => {
    const says = await service.testAlert(context.req.param("name"));
    return says === null ? unknown(context, "alert") : context.json({ says });
  });
  return app;
}

const moment = z.iso.datetime({ offset: true });

/** The paths of the API, as patterns, with their methods. */
const paths = [...Object.keys(answers), "GET /events", "GET /openapi.json"].map((id) => {
  const [method, path] = id.split(" ") as [string, string];
  return [method, new RegExp(`^/api/v1${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`)] as const;
});

function methodsAt(path: string): readonly string[] {
  const methods = paths.filter(([, pattern]) => pattern.test(path)).map(([method]) => method);
  return methods.includes("GET") ? ["HEAD", ...methods] : methods;
}

/** A whole number from a query, between 1 and `most`; `null`: it is none. */
function limitOf(text: string | undefined, usual: number, most: number): number | null {
  if (text === undefined) return usual;
  return /^[1-9]\d{0,5}$/.test(text) && Number(text) <= most ? Number(text) : null;
}

/** Of IPv6 with a port and a zone, in characters. Addresses are remembered. */
const longestAddress = 64;

/** Behind a proxy, the last address that it names is the one that it saw. */
function addressOf(context: Context, proxy: boolean): string {
  const told = proxy ? context.req.header("X-Forwarded-For")?.split(",").at(-1)?.trim() : undefined;
  return told?.slice(0, longestAddress) ?? getConnInfo(context).remote.address ?? "";
}

type Refusal = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503;

function refuse(
  context: Context,
  status: Refusal,
  message: string,
  hint: string | null = null,
  remedy: ErrorReport["remedy"] = "reconfigure",
): Response {
  return context.json({ error: { code: `HTTP_${status}`, message, hint, remedy } }, status);
}
