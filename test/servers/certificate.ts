import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/** A certificate and its private key, as PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly commonName: string;
  /** Host names and IPv4 addresses that it is good for. */
  readonly hosts?: readonly string[];
  /** Days from now until it ends; negative: it has ended. */
  readonly days?: number;
  /** Who signs it; absent: it signs itself and may sign others. */
  readonly authority?: Certificate;
}

/** Makes an X.509 certificate (RFC 5280) with nothing but Node, which can read but not write them. */
export function makeCertificate({ commonName, hosts = [], days = 30, authority }: CertificateOptions): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = authority?.key ?? privateKey;
  const subject = name(commonName);
  const now = Date.now();
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    authority === undefined ? subject : subjectOf(authority),
    sequence(utcTime(now + Math.min(0, days - 1) * 86_400_000 - 3_600_000), utcTime(now + days * 86_400_000)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(...extensions(hosts, authority === undefined))),
  );
  const signature = sign("sha256", body, signer);
  return {
    certificate: pem("CERTIFICATE", sequence(body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), signature))),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

const objectIds = {
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
  keyUsage: [0x55, 0x1d, 0x0f],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
} as const;

const ecdsaWithSha256 = sequence(objectId("ecdsaWithSha256"));
const yes = tlv(0x01, Buffer.from([0xff]));

function extensions(hosts: readonly string[], isAuthority: boolean): Buffer[] {
  if (isAuthority) {
    return [
      sequence(objectId("basicConstraints"), yes, tlv(0x04, sequence(yes))),
      // Bit 5: it signs certificates.
      sequence(objectId("keyUsage"), yes, tlv(0x04, tlv(0x03, Buffer.from([2, 0x04])))),
    ];
  }
  const names = hosts.map((host) =>
    isIP(host) === 4 ? tlv(0x87, Buffer.from(host.split(".").map(Number))) : tlv(0x82, Buffer.from(host)),
  );
  const end = sequence(objectId("basicConstraints"), yes, tlv(0x04, sequence()));
  return names.length === 0 ? [end] : [end, sequence(objectId("subjectAltName"), tlv(0x04, sequence(...names)))];
}

/** One element of DER: tag, length, content. */
function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

/** `bytes`, big-endian, must start with a byte below 0x80: a positive number. */
function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function objectId(id: keyof typeof objectIds): Buffer {
  return tlv(0x06, Buffer.from(objectIds[id]));
}

function name(commonName: string): Buffer {
  return sequence(tlv(0x31, sequence(objectId("commonName"), tlv(0x0c, Buffer.from(commonName)))));
}

function utcTime(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\D/g, "").slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}

/** The subject of a certificate that {@link makeCertificate} made: it is the sixth element of the body. */
function subjectOf({ certificate }: Certificate): Buffer {
  const der = Buffer.from(certificate.replace(/-----[A-Z ]+-----/g, ""), "base64");
  let position = element(der, element(der, 0).content).content;
  for (let skipped = 0; skipped < 5; skipped++) position = element(der, position).end;
  return der.subarray(position, element(der, position).end);
}

function element(der: Buffer, position: number): { readonly content: number; readonly end: number } {
  const first = der[position + 1]!;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const content = position + 2 + lengthBytes;
  return { content, end: content + (lengthBytes === 0 ? first : der.readUIntBE(position + 2, lengthBytes)) };
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
