import { readFileSync } from "node:fs";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import { HeadwatersError } from "../protocol/errors.ts";

/** A setting's name and the PEM text that it names; `null`: not set. */
type Pem = readonly [setting: string, text: string | null];

/** The PEM files for a TLS connection. */
export interface TlsFiles {
  /** `null`: trust the authorities that Node.js trusts. */
  readonly ca: Pem;
  readonly certificate?: Pem;
  readonly key?: Pem;
}

/** What is checked of the server's certificate: nothing, its chain of signatures, or the host's name too. */
export type Verification = "no" | "chain" | "full";

/**
 * The options of `node:tls`. They are made before a connection is opened, because faults in the files do not depend on
 * any server. Throws `CONFIGURATION_INVALID`.
 */
export function tlsOptions(files: TlsFiles, verifies: Verification): ConnectionOptions {
  const none: Pem = ["", null];
  const [caSetting, ca] = files.ca;
  const [certificateSetting, cert] = files.certificate ?? none;
  const [keySetting, key] = files.key ?? none;
  if ((cert === null) !== (key === null)) {
    const [set, missing] = cert === null ? [keySetting, certificateSetting] : [certificateSetting, keySetting];
    const hint = `Set both ${certificateSetting} and ${keySetting}, or neither.`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${set}: it is set, but ${missing} is not`, { hint });
  }
  if (ca !== null && !/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(ca)) {
    const hint = `Set ${caSetting} to a PEM file with the certificate.`;
    throw new HeadwatersError("CONFIGURATION_INVALID", `${caSetting}: it holds no certificate`, { hint });
  }
  try {
    return {
      secureContext: createSecureContext({
        ...(ca === null ? {} : { ca }),
        ...(cert === null || key === null ? {} : { cert, key }),
      }),
      rejectUnauthorized: verifies !== "no",
      // Node.js calls this after it has verified the chain.
      ...(verifies === "full" ? {} : { checkServerIdentity: () => undefined }),
    };
  } catch (thrown) {
    const settings = cert === null ? caSetting : `${certificateSetting}, ${keySetting}`;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${settings}: the files can't be used: ${reason}`, {
      hint: `Check that they are in PEM, and that ${keySetting} is the private key, without a passphrase, of ${certificateSetting}.`,
      cause: thrown,
    });
  }
}

/** The setting with the text of the file that it names. Throws `CONFIGURATION_INVALID`. */
export function pemOf(setting: string, file: string | null | undefined): Pem {
  if (file === null || file === undefined) return [setting, null];
  // The error of the system would show it, and it may be a private key.
  if (file.includes("-----BEGIN ")) {
    throw new HeadwatersError(
      "CONFIGURATION_INVALID",
      `${setting}: it is the text of a PEM file, not the file's name`,
      {
        hint: `Write the text into a file that only its owner may read, and set ${setting} to its name.`,
      },
    );
  }
  try {
    return [setting, readFileSync(file, "utf8")];
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new HeadwatersError("CONFIGURATION_INVALID", `${setting}: the file can't be read: ${reason}`, {
      hint: `Set ${setting} to a file in PEM that exists.`,
      cause: thrown,
    });
  }
}
