// Evidence of a real swtpm, kept as a fixture by guest-commands.real.test.ts, and forms of keys that tests need.

import { fromHex, Writer } from '@ringwall/bytes';
import { TPM_ALG, TPM_ECC } from '../src/constants.ts';
import { parsePublic, type TPMT_PUBLIC_ECC } from '../src/structures/public-area.ts';
import { readFixture } from './vectors.ts';

export interface SwtpmEvidence {
  readonly ekPublic: Uint8Array;
  readonly akPublic: Uint8Array;
  readonly bootPublic: Uint8Array;
  readonly qualifying: Uint8Array;
  readonly quote: Uint8Array;
  readonly quoteSignature: Uint8Array;
  readonly certify: Uint8Array;
  readonly certifySignature: Uint8Array;
}

export function readSwtpmEvidence(): SwtpmEvidence {
  const json: Record<string, string> = JSON.parse(new TextDecoder().decode(readFixture('swtpm-evidence.json')));
  const field = (name: string): Uint8Array => fromHex(json[name] ?? 'fixture lacks it', name);
  return {
    ekPublic: field('ekPublic'),
    akPublic: field('akPublic'),
    bootPublic: field('bootPublic'),
    qualifying: field('qualifying'),
    quote: field('quote'),
    quoteSignature: field('quoteSignature'),
    certify: field('certify'),
    certifySignature: field('certifySignature'),
  };
}

/** The public area of a P-256 key that a test holds the private part of. */
export async function eccPublicOf(
  key: CryptoKey,
  options: { readonly attributes: number; readonly scheme: number; readonly aes?: boolean },
): Promise<TPMT_PUBLIC_ECC> {
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', key));
  const writer = new Writer().u16be(TPM_ALG.ECC).u16be(TPM_ALG.SHA256).u32be(options.attributes).u16be(0);
  if (options.aes === true) writer.u16be(TPM_ALG.AES).u16be(128).u16be(TPM_ALG.CFB);
  else writer.u16be(TPM_ALG.NULL);
  writer.u16be(options.scheme);
  if (options.scheme !== TPM_ALG.NULL) writer.u16be(TPM_ALG.SHA256);
  const bytes = writer
    .u16be(TPM_ECC.NIST_P256)
    .u16be(TPM_ALG.NULL)
    .sized16be((x) => x.bytes(point.subarray(1, 33)))
    .sized16be((y) => y.bytes(point.subarray(33)))
    .finish();
  const parsed = parsePublic(bytes);
  if (parsed.type !== TPM_ALG.ECC) throw new Error('expected an ECC key');
  return parsed;
}

/** Both halves of a pair; the type of generateKey does not say that it is one. */
export async function generateP256(name: 'ECDH' | 'ECDSA'): Promise<CryptoKeyPair> {
  const usages: KeyUsage[] = name === 'ECDH' ? ['deriveBits'] : ['sign', 'verify'];
  const pair = await crypto.subtle.generateKey({ name, namedCurve: 'P-256' }, true, usages);
  if (!('privateKey' in pair)) throw new Error('expected a pair');
  return pair;
}
