import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";
import { pythonPackages } from "./python.ts";

/** A storage that speaks S3, with one empty bucket; it keeps all in memory. */
export interface LocalMoto extends LocalServer {
  /** `http://127.0.0.1:…` */
  readonly endpoint: string;
  readonly bucket: string;
}

const bucket = "lake";

/** Throws `CONFIGURATION_INVALID` where there is no Python with pip, or it does not start. */
export async function launchMoto({ signal }: { readonly signal?: AbortSignal } = {}): Promise<LocalMoto> {
  const python = await pythonPackages("moto[server,s3]==5.2.5");
  const server = await launch({
    title: "moto",
    name: "moto",
    hint: "It comes by pip and needs Python 3.",
    startMilliseconds: 60_000,
    signals: { stop: "SIGTERM", kill: "SIGKILL" },
    signal,
    program: ({ host, port }) => ({
      command: python.command,
      arguments: ["-m", "moto.server", "--host", host, "--port", String(port)],
      environment: { ...serverEnvironment(), ...python.environment },
    }),
    isReady: makeBucket,
    portTaken: /in use/i,
  });
  return { ...server, endpoint: endpointOf(server), bucket };
}

function endpointOf({ host, port }: Place): string {
  return `http://${host}:${port}`;
}

/** Makes the bucket, as soon as somebody listens. */
async function makeBucket(place: Place): Promise<boolean> {
  return fetch(`${endpointOf(place)}/${bucket}`, { method: "PUT" }).then(
    ({ ok }) => ok,
    () => false,
  );
}
