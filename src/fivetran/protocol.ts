import { readFileSync } from "node:fs";
import { getAsset, isSea } from "node:sea";
import type { MethodDefinition } from "@grpc/grpc-js";
import protobuf from "protobufjs";

/** The name of the asset in the single executable. */
const protoFile = "connector.proto";

/** The request of `Update`. Lists and maps are always present; other fields are absent if they have their default value. */
export interface UpdateRequest {
  readonly configuration: Readonly<Record<string, string>>;
  readonly selection?: SelectionMessage;
  readonly stateJson?: string;
}

export interface SelectionMessage {
  readonly withoutSchema?: TablesMessage;
  readonly withSchema?: {
    readonly schemas: readonly (TablesMessage & { readonly included?: boolean; readonly schemaName?: string })[];
    readonly includeNewSchemas?: boolean;
  };
}

export interface TablesMessage {
  readonly tables: readonly {
    readonly included?: boolean;
    readonly tableName?: string;
    readonly columns: Readonly<Record<string, boolean>>;
    readonly includeNewColumns?: boolean;
  }[];
  readonly includeNewTables?: boolean;
}

/** A message of the stream that has no rows: {@link RecordEncoder} encodes those. */
export type UpdateMessage =
  | { readonly schemaChange: object }
  | { readonly checkpoint: { readonly stateJson: string } }
  | { readonly warning: { readonly message: string } }
  | { readonly task: { readonly message: string } };

/** The protocol's service, for grpc-js, and the encoder of `Update`'s messages. */
export interface Protocol {
  readonly service: {
    readonly ConfigurationForm: MethodDefinition<object, object>;
    readonly Test: MethodDefinition<{ name: string; configuration: Readonly<Record<string, string>> }, object>;
    readonly Schema: MethodDefinition<{ configuration: Readonly<Record<string, string>> }, object>;
    /** Takes encoded messages: rows are encoded from columns, without an object per row. */
    readonly Update: MethodDefinition<UpdateRequest, Uint8Array>;
  };
  encode(message: UpdateMessage): Uint8Array;
}

/** Loads the protocol from its .proto file. */
export function loadProtocol(): Protocol {
  const { root } = protobuf.parse(protoText());
  // Only rows have timestamps, but the imports of the file must exist.
  root.add(new protobuf.Namespace("google").add(timestamps()));
  const service = root.lookupService("fivetran_sdk.v2.SourceConnector");
  const method = <Request extends object, Response extends object>(
    name: string,
  ): MethodDefinition<Request, Response> => {
    const { requestType, responseType, responseStream = false } = service.methods[name]!;
    const [request, response] = [service.parent!.lookupType(requestType), service.parent!.lookupType(responseType)];
    return {
      path: `/fivetran_sdk.v2.SourceConnector/${name}`,
      requestStream: false,
      responseStream,
      requestSerialize: (message) => encoded(request, message),
      requestDeserialize: (bytes) => decoded(request, bytes) as Request,
      responseSerialize: (message) => (responseStream ? (message as unknown as Buffer) : encoded(response, message)),
      responseDeserialize: (bytes) => decoded(response, bytes) as Response,
    };
  };
  const update = service.parent!.lookupType("UpdateResponse");
  return {
    service: {
      ConfigurationForm: method("ConfigurationForm"),
      Test: method("Test"),
      Schema: method("Schema"),
      Update: method("Update"),
    },
    encode: (message) => encoded(update, message),
  };
}

function protoText(): string {
  if (isSea()) return getAsset(protoFile, "utf8");
  // Up and down again: built, this module stands in a folder beside `fivetran`.
  return readFileSync(new URL(`../fivetran/${protoFile}`, import.meta.url), "utf8");
}

function timestamps(): protobuf.Namespace {
  const type = new protobuf.Type("Timestamp")
    .add(new protobuf.Field("seconds", 1, "int64"))
    .add(new protobuf.Field("nanos", 2, "int32"));
  return new protobuf.Namespace("protobuf").add(type);
}

function encoded(type: protobuf.Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function decoded(type: protobuf.Type, bytes: Buffer): object {
  return type.toObject(type.decode(bytes), { objects: true, arrays: true });
}
