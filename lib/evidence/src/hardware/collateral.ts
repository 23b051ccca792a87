// What goes with hardware evidence, from files, in one object: certificates, revocation lists and what Intel says about its
// firmware. Nothing in it is trusted for being in it. The format is in docs/protocols/hardware-evidence.md.
import { utf8 } from '@ringwall/bytes';
import { fromBase64, toBase64 } from '../base64.ts';
import { MAX_CRL_BYTES, MAX_CRLS } from '../crl.ts';
import { EvidenceError } from '../errors.ts';
import { ClosedObject, type Refuse } from '../json.ts';
import { decodeJsonFile, encodeJsonFile } from '../json-file.ts';
import type { SnpCollateral } from '../snp/judge.ts';
import { MAX_INTEL_JSON_BYTES } from '../tdx/intel-json.ts';
import type { TdxCollateral } from '../tdx/judge.ts';
import { MAX_CERTIFICATE_BYTES } from '../x509.ts';

export const COLLATERAL_FORMAT = 'ringwall-collateral/1';
/** Intel’s has about 30 KiB, AMD’s about 10. */
export const MAX_COLLATERAL_BYTES: number = 2 * 1024 * 1024;
const FILE = { what: 'collateral', limitBytes: MAX_COLLATERAL_BYTES, invalid: 'collateral-invalid' } as const;
/** The longest chain: endorsement key, signing key, root. */
const MAX_CERTIFICATES = 3;

export type Collateral = ({ readonly kind: 'sev-snp' } & SnpCollateral) | ({ readonly kind: 'tdx' } & TdxCollateral);

/** A collateral bundle from JSON. Throws EvidenceError `collateral-invalid`, or `too-large` before it reads anything. */
export function parseCollateral(file: Uint8Array): Collateral {
  const object = new ClosedObject(decodeJsonFile(FILE, file), 'collateral', refuse);
  object.oneOf('format', [COLLATERAL_FORMAT]);
  const kind = object.oneOf('kind', ['sev-snp', 'tdx']);
  const crls = readList(object, 'crls', MAX_CRLS, MAX_CRL_BYTES);
  const collateral: Collateral =
    kind === 'sev-snp'
      ? { kind, certificates: readCertificates(object, 'certificates'), crls }
      : {
          kind,
          tcbInfo: readBytes(object.value('tcbInfo'), 'collateral.tcbInfo', MAX_INTEL_JSON_BYTES),
          tcbInfoCertificates: readCertificates(object, 'tcbInfoCertificates'),
          qeIdentity: readBytes(object.value('qeIdentity'), 'collateral.qeIdentity', MAX_INTEL_JSON_BYTES),
          qeIdentityCertificates: readCertificates(object, 'qeIdentityCertificates'),
          crls,
        };
  object.end();
  return collateral;
}

export function encodeCollateral(collateral: Collateral): Uint8Array {
  const list = (items: readonly Uint8Array[]): string[] => items.map((item) => toBase64(item));
  const { kind, crls } = collateral;
  const parts =
    kind === 'sev-snp'
      ? { certificates: list(collateral.certificates) }
      : {
          tcbInfo: toBase64(collateral.tcbInfo),
          tcbInfoCertificates: list(collateral.tcbInfoCertificates),
          qeIdentity: toBase64(collateral.qeIdentity),
          qeIdentityCertificates: list(collateral.qeIdentityCertificates),
        };
  return utf8(encodeJsonFile(FILE, { format: COLLATERAL_FORMAT, kind, ...parts, crls: list(crls) }));
}

const refuse: Refuse = (message) => {
  throw new EvidenceError('collateral-invalid', message);
};

function readCertificates(object: ClosedObject, key: string): readonly Uint8Array[] {
  return readList(object, key, MAX_CERTIFICATES, MAX_CERTIFICATE_BYTES);
}

function readList(object: ClosedObject, key: string, items: number, bytes: number): readonly Uint8Array[] {
  return object.array(key, items, (item, path) => readBytes(item, path, bytes));
}

function readBytes(value: unknown, path: string, limit: number): Uint8Array {
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
  if (bytes === undefined) return refuse(`${path} is not base64`);
  if (bytes.length > limit) return refuse(`${path} has ${bytes.length} bytes, at most ${limit}`);
  return bytes;
}
