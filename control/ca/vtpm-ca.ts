// This host's vTPM CA: the root that says "this EK is in a vTPM that this host made". The warden owns it. Its key is
// wrapped by the host key, so a copied state directory without the host key certifies nothing (A4); root on this host
// can certify whatever it likes (A6), and the root's name says which host to blame.
import { MACHINE_ID, RingwallError, type MachineId } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { parsePublic, publicKeyOf } from '@ringwall/tpm';
import { readFileBounded, removeUnfinished, writeFileAtomic } from '../files/index.ts';
import { Secret, unwrapKey, wrapKey, type KeyIdentity } from '../keys/index.ts';
import { makeEkCertificate, randomSerial } from './ek-certificate.ts';
import * as x509 from './x509.ts';

export interface VtpmCa {
  /** The root, DER: what a verifier must trust to trust this host's vTPMs. */
  readonly certificates: readonly Uint8Array<ArrayBuffer>[];
  /** The EK certificate (DER, at most 1,024 bytes) of the vTPM whose EK has this public area (TPMT_PUBLIC). */
  issueEkCertificate(ekPublic: Uint8Array, machine: MachineId): Promise<Uint8Array<ArrayBuffer>>;
}

/** One file with the certificate and its wrapped key: a crash leaves both or neither. */
interface CaFile {
  readonly format: 'ringwall-vtpm-ca/1';
  readonly certificate: string;
  readonly wrappedKey: string;
}

const FORMAT = 'ringwall-vtpm-ca/1';
/** A root certificate and a wrapped PKCS #8 key have about 1 KiB. */
const FILE_LIMIT_BYTES = 16 * 1024;
/** Longer than a host lives; machines are registered with this root, so renewing it means making machines anew. */
const VALID_YEARS = 30;
const CLOCK_SKEW_MS = 24 * 60 * 60 * 1000;
const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const ECDSA_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** Opens the CA in the file `path`, or makes it. `hostKey` (32 bytes) wraps its private key. */
export async function openVtpmCa(path: string, hostKey: Secret, now: Date = new Date()): Promise<VtpmCa> {
  await removeUnfinished(path);
  const stored = await readFileBounded(path, FILE_LIMIT_BYTES);
  const file = stored === undefined ? await makeCa(path, hostKey, now) : parseCaFile(path, stored);
  const root = parseRoot(path, file);
  const key = await openKey(hostKey, root, file);
  await checkPair(path, root, key);
  return {
    certificates: [new Uint8Array(root.rawData)],
    issueEkCertificate: async (ekPublic, machine) => {
      if (!MACHINE_ID.test(machine)) throw new RingwallError('bad-request', 'not a machine id');
      const publicArea = parsePublic(ekPublic);
      // The signature asks the date again: a CA may be open for months.
      const at = new Date();
      return makeEkCertificate({
        ekPublic: await publicKeyOf(publicArea),
        machine,
        issuer: root,
        issuerKey: key,
        now: at < root.notBefore ? now : at,
      });
    },
  };
}

async function makeCa(path: string, hostKey: Secret, now: Date): Promise<CaFile> {
  const pair = await crypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(now.getUTCFullYear() + VALID_YEARS);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    // The random part tells the CAs of two hosts apart where their certificates are listed together.
    name: [{ O: ['Ringwall'] }, { CN: [`Ringwall vTPM CA ${toHex(crypto.getRandomValues(new Uint8Array(8)))}`] }],
    notBefore: new Date(now.getTime() - CLOCK_SKEW_MS),
    notAfter,
    signingAlgorithm: ECDSA_SHA256,
    keys: pair,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  using secret = Secret.take(new Uint8Array(await crypto.subtle.exportKey('pkcs8', pair.privateKey)));
  const file: CaFile = {
    format: FORMAT,
    certificate: Buffer.from(root.rawData).toString('base64'),
    wrappedKey: Buffer.from(wrapKey(hostKey, keyIdentity(root.serialNumber), secret)).toString('base64'),
  };
  await writeFileAtomic(path, `${JSON.stringify(file, undefined, 2)}\n`);
  return file;
}

async function openKey(hostKey: Secret, root: x509.X509Certificate, file: CaFile): Promise<CryptoKey> {
  using secret = unwrapKey(hostKey, keyIdentity(root.serialNumber), fromBase64(file.wrappedKey));
  return crypto.subtle.importKey('pkcs8', secret.expose(), ECDSA_P256, false, ['sign']);
}

/** The certificate's serial is in the associated data: a key of another root does not open beside this one. */
function keyIdentity(serial: string): KeyIdentity {
  return { kind: 'vtpm-ca-key', id: serial, version: 1 };
}

function parseCaFile(path: string, bytes: Uint8Array): CaFile {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(path, 'it is not JSON', error);
  }
  if (typeof value !== 'object' || value === null) throw damaged(path, 'it is not an object');
  const { format, certificate, wrappedKey, ...others }: { [field: string]: unknown } = { ...value };
  if (format !== FORMAT) throw damaged(path, 'its format is unknown');
  if (typeof certificate !== 'string' || typeof wrappedKey !== 'string' || Object.keys(others).length > 0) {
    throw damaged(path, 'it does not have the fields of its format');
  }
  return { format, certificate, wrappedKey };
}

function parseRoot(path: string, file: CaFile): x509.X509Certificate {
  try {
    return new x509.X509Certificate(fromBase64(file.certificate));
  } catch (error) {
    throw damaged(path, 'its certificate cannot be read', error);
  }
}

async function checkPair(path: string, root: x509.X509Certificate, key: CryptoKey): Promise<void> {
  const probe = crypto.getRandomValues(new Uint8Array(32));
  const signature = await crypto.subtle.sign(ECDSA_SHA256, key, probe);
  const publicKey = await root.publicKey.export(ECDSA_P256, ['verify']);
  if (!(await crypto.subtle.verify(ECDSA_SHA256, publicKey, signature, probe))) {
    throw damaged(path, 'its key is not that of its certificate');
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function damaged(path: string, why: string, cause?: unknown): RingwallError {
  return new RingwallError('conflict', `the vTPM CA in ${path} is damaged: ${why}`, {
    hint: 'restore the state directory from a backup, or remove the file: machines made before keep their root',
    cause,
  });
}
