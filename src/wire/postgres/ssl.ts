import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { pemOf, tlsOptions, type Verification } from "../../net/tls.ts";
import { HeadwatersError } from "../../protocol/errors.ts";

/** The modes of libpq, https://www.postgresql.org/docs/15/libpq-ssl.html#LIBPQ-SSL-PROTECTION. */
export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof sslModes)[number];

export interface SslSettings {
  readonly sslmode: SslMode;
  /** A file in PEM, the PEM text itself, or `system` for the certificate authorities that Node.js trusts. */
  readonly sslrootcert?: string | undefined;
  /** The client's certificate and key: files in PEM, or the PEM text itself. */
  readonly sslcert?: string | undefined;
  readonly sslkey?: string | undefined;
}

/** One way to try a connection; `tls: null`: not encrypted. */
export interface SslAttempt {
  readonly tls: ConnectionOptions | null;
  readonly verifies: Verification;
}

/**
 * The ways to connect, in order, until one succeeds. As in libpq, `allow` begins without TLS, `prefer` with it, and
 * both fall back for any reason of the server; the other modes have one way. Every mode checks the chain if there is
 * a root certificate: `require` with `sslrootcert` is `verify-ca`.
 * Throws `CONFIGURATION_INVALID` if a file is missing.
 */
export function sslAttempts(settings: SslSettings): readonly SslAttempt[] {
  const plain: SslAttempt = { tls: null, verifies: "no" };
  switch (settings.sslmode) {
    case "disable":
      return [plain];
    case "allow":
      return [plain, encrypted(settings)];
    case "prefer":
      return [encrypted(settings), plain];
    default:
      return [encrypted(settings)];
  }
}

function encrypted(settings: SslSettings): SslAttempt {
  const { sslmode } = settings;
  const mustVerify = sslmode === "verify-ca" || sslmode === "verify-full";
  const system = settings.sslrootcert === "system";
  if (system && sslmode !== "verify-full") {
    throw new HeadwatersError("CONFIGURATION_INVALID", `sslrootcert: "system" needs sslmode "verify-full"`, {
      hint: 'Set sslmode to "verify-full". Anyone can get a certificate of a public authority, so the name of the host must be checked.',
    });
  }
  const ca = system ? null : pem("sslrootcert", settings.sslrootcert, "root.crt");
  if (mustVerify && ca === null && !system) {
    throw new HeadwatersError("CONFIGURATION_INVALID", `sslrootcert: sslmode "${sslmode}" needs a root certificate`, {
      hint: 'Set sslrootcert to a file in PEM, or to "system" for a certificate of a public authority.',
    });
  }
  const verifies = sslmode === "verify-full" ? "full" : ca === null ? "no" : "chain";
  const cert = pem("sslcert", settings.sslcert, "postgresql.crt");
  const key = pem("sslkey", settings.sslkey, "postgresql.key");
  // If only one of the two is set, neither is used.
  const files = {
    ca: ["sslrootcert", ca],
    certificate: ["sslcert", key === null ? null : cert],
    key: ["sslkey", cert === null ? null : key],
  } as const;
  return { verifies, tls: tlsOptions(files, verifies) };
}

/** The text of a PEM; if the setting is absent, libpq's own file in the home directory, if that exists. */
function pem(setting: string, value: string | undefined, fallback: string): string | null {
  if (value !== undefined && value.trimStart().startsWith("-----BEGIN")) return value;
  const file = value ?? libpqFile(fallback);
  return value === undefined && !existsSync(file) ? null : pemOf(setting, file)[1];
}

function libpqFile(name: string): string {
  const appData = process.platform === "win32" ? process.env["APPDATA"] : undefined;
  return appData === undefined ? join(homedir(), ".postgresql", name) : join(appData, "postgresql", name);
}
