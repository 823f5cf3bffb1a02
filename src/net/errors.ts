import { type ErrorCode, HeadwatersError } from "../protocol/errors.ts";
import { ProtocolBroken } from "./broken.ts";
import { ConnectionLost, ConnectTimeout } from "./socket.ts";
import { Silence } from "./watch.ts";

/** A connector's names for its settings, and some facts about its server. */
export interface Names {
  /** The expected kind of server: `PostgreSQL`. */
  readonly server: string;
  readonly host: string;
  readonly tls: string;
  /** How to switch TLS off here, and how to switch it on at the server: `tls to false`, `driver-tls`. */
  readonly noTls: string;
  readonly serverTls: string;
  readonly ca: string;
  /** `null`: there is no setting for a client certificate. */
  readonly certificate: string | null;
  readonly key: string | null;
  /** The setting that accepts a certificate with another name: `verify_hostname to false`; `null`: there is none. */
  readonly anyName: string | null;
  /** The server's own setting for the addresses it listens on. */
  readonly listens: string;
  /** The setting for the time limit of connecting; `null`: there is none. */
  readonly timeout: string | null;
}

/** The target of a connection, as messages name it. */
export interface Place {
  readonly names: Names;
  readonly host: string;
  readonly port: number;
}

/** A fault, as it is reported to the user. `said`: the message of Node.js or the system. */
interface Fault {
  readonly code: ErrorCode;
  message(place: Place, said: string): string;
  hint(place: Place): string;
}

const hostUnknown: Fault = {
  code: "HOST_UNKNOWN",
  message: ({ names, host }) => `${names.host}: the name "${host}" can't be resolved`,
  hint: ({ names }) => `Check the spelling of ${names.host}, and that this machine's DNS knows it.`,
};

const nameServerSilent: Fault = {
  code: "HOST_UNKNOWN",
  message: ({ names, host }) =>
    `${names.host}: the name "${host}" can't be resolved now: the name server does not answer`,
  hint: ({ names }) => `Check this machine's DNS, and the spelling of ${names.host}.`,
};

const refused: Fault = {
  code: "CONNECTION_REFUSED",
  message: (place) => `port: nothing listens at ${at(place)}`,
  hint: ({ names }) =>
    `Check ${names.host} and port, and that the server runs and listens on this address (${names.listens}).`,
};

const noSocket: Fault = {
  code: "CONNECTION_REFUSED",
  message: (place) => `${place.names.host}: there is no socket at ${at(place)}`,
  hint: ({ names }) => `Check ${names.host} and port, and that the server runs and has its socket in this folder.`,
};

const unreachable: Fault = {
  code: "CONNECTION_REFUSED",
  message: (place, said) => `${place.names.host}: this machine has no route to ${at(place)}: ${said}`,
  hint: ({ names }) => `Check ${names.host}, the network and the firewall between this machine and the server.`,
};

const tooLate: Fault = {
  code: "CONNECTION_TIMEOUT",
  message: (place, said) => `${place.names.host}: ${at(place)} can't be reached (${said})`,
  hint: ({ names }) => {
    const wait = names.timeout === null ? "" : `; ${names.timeout} says how long to wait`;
    return `Check ${names.host}, port and the firewall between${wait}.`;
  },
};

const noAnswer = (protocol: (names: Names) => string): Fault => ({
  ...tooLate,
  message: (place, said) => {
    const what = `accepts the connection, but does not answer as ${protocol(place.names)} does`;
    return `${place.names.host}: ${at(place)} ${what} (${said})`;
  },
});

const lost: Fault = {
  code: "CONNECTION_LOST",
  message: (place, said) => `the connection to ${at(place)} broke: ${said}`,
  hint: () => "It may pass by itself. If it happens often, look for a firewall, a proxy or a server that restarts.",
};

const broken: Fault = {
  code: "PROTOCOL_MISMATCH",
  message: (place, said) => `port: ${at(place)} breaks the protocol of ${place.names.server}: ${said}`,
  hint: ({ names }) =>
    `Check that ${names.host} and port lead to the database, without a proxy between. If they do, report this.`,
};

/** Headwaters refuses the server's certificate. */
const unverified = (hint: Fault["hint"]): Fault => ({
  code: "TLS_UNVERIFIED",
  message: ({ names, host }, said) => `${names.tls}: the certificate of ${host} can't be verified: ${said}`,
  hint,
});

const untrusted = unverified(({ names }) => `Set ${names.ca} to the certificate of the authority that signed it.`);

const otherName = unverified(({ names }) => {
  const or = names.anyName === null ? "" : `, or ${names.anyName}`;
  return `Set ${names.host} to a name that the certificate has${or}.`;
});

const outOfDate = unverified(() => "Renew it at the server, or set the clock of this machine.");

const unfit = unverified(({ names }) => `Check the server's certificate, and those of ${names.ca}.`);

const noTls: Fault = {
  code: "TLS_MISMATCH",
  message: (place, said) =>
    `${place.names.tls}: the server at ${at(place)} does not speak TLS, the handshake failed: ${said}`,
  hint: ({ names }) => `Set ${names.noTls}, or switch TLS on at the server (${names.serverTls}).`,
};

const handshakeFailed: Fault = {
  code: "TLS_MISMATCH",
  message: (place, said) => `${place.names.tls}: the TLS handshake with ${at(place)} failed: ${said}`,
  hint: ({ names }) =>
    `Set ${names.noTls} if the server has no TLS at this port. Otherwise check which versions of TLS it accepts.`,
};

/** The server requires a client certificate, or rejects the one it got. */
const ourCertificate: Fault = {
  code: "TLS_MISMATCH",
  message: ({ names, ...where }, said) =>
    `${names.certificate ?? names.tls}: the server at ${at(where)} requires a client certificate that it trusts: ${said}`,
  hint: ({ names }) =>
    names.certificate === null
      ? "Let the server accept clients without a certificate, or connect through a proxy that has one."
      : `Set ${names.certificate} and ${names.key} to a certificate whose authority the server trusts.`,
};

/**
 * The keys are errno names, Node.js's codes for certificates
 * (https://nodejs.org/api/tls.html#x509-certificate-error-codes), and the codes that Node.js derives from OpenSSL's
 * reasons.
 */
export const faults: Readonly<Record<string, Fault>> = {
  ENOTFOUND: hostUnknown,
  EAI_FAIL: hostUnknown,
  EAI_AGAIN: nameServerSilent,
  ECONNREFUSED: refused,
  ENOENT: noSocket,
  EACCES: unreachable,
  EPERM: unreachable,
  EADDRNOTAVAIL: unreachable,
  EHOSTDOWN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETDOWN: unreachable,
  ENETUNREACH: unreachable,
  ETIMEDOUT: tooLate,
  ECONNABORTED: lost,
  ECONNRESET: lost,
  EPIPE: lost,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  CERT_UNTRUSTED: untrusted,
  CERT_HAS_EXPIRED: outOfDate,
  CERT_NOT_YET_VALID: outOfDate,
  ERR_TLS_CERT_ALTNAME_INVALID: otherName,
  HOSTNAME_MISMATCH: otherName,
  CERT_CHAIN_TOO_LONG: unfit,
  CERT_REJECTED: unfit,
  CERT_REVOKED: unfit,
  CERT_SIGNATURE_FAILURE: unfit,
  INVALID_CA: unfit,
  INVALID_PURPOSE: unfit,
  PATH_LENGTH_EXCEEDED: unfit,
  EPROTO: handshakeFailed,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: ourCertificate,
  // The alerts of TLS 1.2 servers for the same fault.
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: ourCertificate,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: ourCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: ourCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: ourCertificate,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: ourCertificate,
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: ourCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: ourCertificate,
};

const timeouts: Readonly<Record<ConnectTimeout["during"], Fault>> = {
  connect: tooLate,
  tls: noAnswer(() => "TLS"),
  login: noAnswer(({ server }) => server),
};

/** Turns an error of the network, the system or TLS into one that a user can act on; `null`: it is another error. */
export function networkError(thrown: unknown, place: Place): HeadwatersError | null {
  const native = thrown instanceof ConnectionLost ? (thrown.cause ?? thrown) : thrown;
  const fault = faultOf(native) ?? (thrown instanceof ConnectionLost ? lost : null);
  if (fault === null) return null;
  return new HeadwatersError(fault.code, fault.message(place, messageOf(native)), {
    hint: fault.hint(place),
    cause: native,
  });
}

/** The report of a broken connection, for protocols that signal it in their own way. */
export function connectionLost(place: Place, said: string): readonly [ErrorCode, message: string, hint: string] {
  return [lost.code, lost.message(place, said), lost.hint(place)];
}

function faultOf(thrown: unknown): Fault | null {
  if (thrown instanceof ConnectTimeout) return timeouts[thrown.during];
  if (thrown instanceof ProtocolBroken) return broken;
  if (thrown instanceof Silence) return lost;
  const code = nativeCode(thrown) ?? "";
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  // Errors of file access have these codes too.
  if (["ENOENT", "EACCES", "EPERM"].includes(code) && (first as NodeJS.ErrnoException).syscall !== "connect")
    return null;
  return faults[code] ?? (/^ERR_(SSL|TLS)_/.test(code) ? handshakeFailed : null);
}

/** The errno, the SQLSTATE or another textual code of an error; `null`: it has none. */
export function nativeCode(thrown: unknown): string | null {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return null;
  return typeof thrown.code === "string" ? thrown.code : null;
}

export function messageOf(thrown: unknown): string {
  // For a host with several addresses Node.js gives the error of each, and no message.
  if (thrown instanceof AggregateError && thrown.message === "") return messageOf(thrown.errors[0]);
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function at({ host, port }: Pick<Place, "host" | "port">): string {
  return `${host}:${port}`;
}
