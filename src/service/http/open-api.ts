import { z } from "zod";
import {
  actionSchema,
  answers,
  columnSchema,
  connectionSchema,
  errorSchema,
  eventSchema,
  logLineSchema,
  progressSchema,
  runSchema,
  schemaChangeSchema,
  tableRunSchema,
  tableSchema,
} from "../api.ts";

const parts = {
  Action: actionSchema,
  Column: columnSchema,
  Connection: connectionSchema,
  Error: errorSchema,
  Event: eventSchema,
  LogLine: logLineSchema,
  Progress: progressSchema,
  Run: runSchema,
  SchemaChange: schemaChangeSchema,
  Table: tableSchema,
  TableRun: tableRunSchema,
} satisfies Readonly<Record<string, z.ZodType>>;

const queries: Readonly<Record<string, readonly object[]>> = {
  "GET /connections/{name}/runs": [
    query("kind", { type: "string", enum: ["sync", "verify", "follow"] }),
    query("limit", { type: "integer", minimum: 1, maximum: 500, default: 100 }),
    query("before", { type: "string", format: "date-time" }),
  ],
  "GET /runs/{id}/log": [
    query("search", { type: "string" }),
    query("limit", { type: "integer", minimum: 1, maximum: 5_000, default: 1_000 }),
  ],
};

function query(name: string, schema: object): object {
  return { name, in: "query", required: false, schema };
}

/** The API as OpenAPI 3.1, from the schemas by which it is tested. */
export function openApi(version: string): object {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(parts)) registry.add(schema, { id });
  const others = Object.entries(answers).filter(([, schema]) => !registry.has(schema));
  for (const [path, schema] of others) registry.add(schema, { id: path });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}`, io: "output" });
  const plain = (id: string): object => {
    const { $schema: _, $id: __, ...schema } = schemas[id] as Record<string, unknown>;
    return schema;
  };
  const paths: Record<string, Record<string, object>> = {
    "/events": {
      get: {
        summary: "Events as they come. Last-Event-ID goes on after an event; hello says: read everything again.",
        parameters: [{ name: "Last-Event-ID", in: "header", required: false, schema: { type: "string" } }],
        responses: {
          200: {
            description: "Each `data:` is an Event.",
            content: { "text/event-stream": { schema: { type: "string" } } },
          },
          ...refusals,
        },
      },
    },
  };
  for (const id of Object.keys(answers)) {
    const [method, path] = id.split(" ") as [string, string];
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    }));
    const { id: registered } = registry.get(answers[id as keyof typeof answers])!;
    const body = path.endsWith("/actions") ? { requestBody: { required: true, ...json(reference("Action")) } } : {};
    (paths[path] ??= {})[method.toLowerCase()] = {
      summary: id,
      parameters: [...named, ...(queries[id] ?? [])],
      ...body,
      responses: {
        200: { description: "The answer.", ...json(registered === id ? plain(id) : reference(registered)) },
        ...refusals,
      },
    };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Headwaters", version, description: "The API of `headwaters up`." },
    servers: [{ url: "/api/v1" }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: Object.fromEntries(Object.keys(parts).map((id) => [id, plain(id)])),
    },
  };
}

function reference(id: string): object {
  return { $ref: `#/components/schemas/${id}` };
}

function json(schema: object): object {
  return { content: { "application/json": { schema } } };
}

const refusal = json({ type: "object", properties: { error: reference("Error") }, required: ["error"] });

const refusals = {
  "4XX": { description: "It was refused.", ...refusal },
  "5XX": { description: "It can't be answered now.", ...refusal },
};
