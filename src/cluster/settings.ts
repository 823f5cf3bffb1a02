/** Where Temporal is, and what of it is ours. */
export interface TemporalSettings {
  /** `host:port` */
  readonly address: string;
  readonly namespace: string;
  readonly taskQueue: string;
  /** PEM texts; `null`: no TLS. */
  readonly tls: {
    readonly ca: Buffer | null;
    readonly certificate: Buffer | null;
    readonly key: Buffer | null;
    readonly serverName: string | null;
  } | null;
  readonly apiKey: string | null;
  /** A worker that is silent for so long is given up, in milliseconds. */
  readonly heartbeatTimeout: number;
}

/** As Temporal's client and its worker take them. */
export function connectionOptions({ address, tls, apiKey }: TemporalSettings): {
  address: string;
  tls?: object;
  apiKey?: string;
} {
  const pair = tls?.certificate != null && tls.key !== null ? { crt: tls.certificate, key: tls.key } : null;
  return {
    address,
    ...(tls === null
      ? {}
      : {
          tls: {
            ...(tls.ca === null ? {} : { serverRootCACertificate: tls.ca }),
            ...(pair === null ? {} : { clientCertPair: pair }),
            ...(tls.serverName === null ? {} : { serverNameOverride: tls.serverName }),
          },
        }),
    ...(apiKey === null ? {} : { apiKey }),
  };
}
