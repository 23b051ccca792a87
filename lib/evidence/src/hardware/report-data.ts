// What a report or quote must carry in its 64 bytes of report data: a SHA-512 digest over a versioned text, so that the
// hardware vouches for one key, for one question. The texts are in docs/protocols/hardware-evidence.md; one line feed ends
// each line, hexadecimal is lower case.
import { equalBytes, toHex, unshared, utf8 } from '@ringwall/bytes';
import { checkChallenge, NONCE_BYTES, type Challenge } from '../challenge.ts';
import { EvidenceError } from '../errors.ts';
import type { SnpEvidence } from '../snp/judge.ts';
import type { TdxEvidence } from '../tdx/judge.ts';
import { isVerified, type Verified } from '../verified.ts';

export const REPORT_DATA_BYTES = 64;

/** TPM 2.0 Part 1 section 16: the hash algorithm in two bytes, then its digest. */
const NAME_BYTES: ReadonlyMap<string, number> = new Map([
  ['000b', 34],
  ['000c', 50],
  ['000d', 66],
]);
/** The id of a host, as a binding names it. */
export const HOST: RegExp = /^[a-z][a-z0-9_-]{0,62}$/;

export type HardwareKind = 'sev-snp' | 'tdx';

/** A vTPM inside the protected machine: its EK, for the boot that was asked about. */
export interface VtpmBinding {
  readonly kind: HardwareKind;
  readonly challenge: Challenge;
  /** The Name of the EK's public area, with its algorithm. */
  readonly ekName: Uint8Array;
}

/** The CA that certifies the vTPMs of a host, vouched for by the host's own evidence. */
export interface VtpmCaBinding {
  readonly nonce: Uint8Array;
  readonly host: string;
  /** SubjectPublicKeyInfo of the CA, DER. */
  readonly spki: Uint8Array;
}

export function reportDataText({ kind, challenge, ekName }: VtpmBinding): string {
  checkChallenge(challenge);
  if (NAME_BYTES.get(toHex(ekName.subarray(0, 2))) !== ekName.length) {
    throw new EvidenceError('challenge-invalid', 'the EK’s Name is not a Name made with SHA-256, SHA-384 or SHA-512');
  }
  const lines = ['ringwall-hardware 1', kind, toHex(challenge.nonce), challenge.machine, challenge.boot, toHex(ekName)];
  return `${lines.join('\n')}\n`;
}

/** The report data that binds a vTPM to the protected machine: what judgeSnp and judgeTdx are to expect. */
export function reportDataFor(binding: VtpmBinding): Promise<Uint8Array> {
  return digestText('SHA-512', reportDataText(binding));
}

/** Whether evidence that passed its judgement vouches for this EK. */
export async function bindsVtpm(
  evidence: Verified<SnpEvidence> | Verified<TdxEvidence>,
  binding: Omit<VtpmBinding, 'kind'>,
): Promise<boolean> {
  if (!isVerified(evidence)) throw new TypeError('evidence that did not come out of a passed judgement');
  return equalBytes(evidence.reportData, await reportDataFor({ ...binding, kind: evidence.kind }));
}

/** Whether evidence of a host that passed its judgement vouches for this CA: only then is it a root for EK certificates. */
export async function endorsesVtpmCa(
  evidence: Verified<SnpEvidence> | Verified<TdxEvidence>,
  binding: VtpmCaBinding,
): Promise<boolean> {
  if (!isVerified(evidence)) throw new TypeError('evidence that did not come out of a passed judgement');
  return equalBytes(evidence.reportData, await vtpmCaReportData(binding));
}

export async function vtpmCaText({ nonce, host, spki }: VtpmCaBinding): Promise<string> {
  if (nonce.length !== NONCE_BYTES) throw new EvidenceError('challenge-invalid', `nonce is not ${NONCE_BYTES} bytes`);
  if (!HOST.test(host)) throw new EvidenceError('challenge-invalid', 'host id is not of the form that ids have');
  const key = new Uint8Array(await crypto.subtle.digest('SHA-256', unshared(spki)));
  return `${['ringwall-vtpm-ca 1', toHex(nonce), host, toHex(key)].join('\n')}\n`;
}

/** The report data with which a host that is itself a protected machine vouches for its vTPM CA. */
export async function vtpmCaReportData(binding: VtpmCaBinding): Promise<Uint8Array> {
  return digestText('SHA-512', await vtpmCaText(binding));
}

/** The qualifying data with which a host's TPM vouches for its vTPM CA: a quote holds no 64 bytes of it. */
export async function vtpmCaQualifyingData(binding: VtpmCaBinding): Promise<Uint8Array> {
  return digestText('SHA-256', await vtpmCaText(binding));
}

async function digestText(hash: string, text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest(hash, utf8(text)));
}
