import { launch, type LocalServer, type Place, serverEnvironment } from "./launch.ts";
import { pythonPackages } from "./python.ts";

/** An S3 storage with one empty bucket; it keeps everything in memory. */
export interface LocalMoto extends LocalServer {
  /** `http://127.0.0.1:…` */
  readonly endpoint: string;
  readonly bucket: string;
}

const bucket = "lake";

/** Starts moto. Throws `CONFIGURATION_INVALID` if Python with pip is missing, or moto does not start. */
export async function launchMoto({ signal }: { readonly signal?: AbortSignal } = {}): Promise<LocalMoto> {
  const python = await pythonPackages("moto[server,s3]==5.2.5");
  const server = await launch({
    title: "moto",
    name: "moto",
    hint: "Install Python 3 with pip.",
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

/** Makes the bucket as soon as the server listens. */
async function makeBucket(place: Place): Promise<boolean> {
  return fetch(`${endpointOf(place)}/${bucket}`, { method: "PUT" }).then(
    ({ ok }) => ok,
    () => false,
  );
}
