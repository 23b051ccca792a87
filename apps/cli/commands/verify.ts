// `ringwall verify`: checks a proof bundle offline, with the same judgement as the broker's, and explains it.
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import {
  chainOf,
  decodeHostReference,
  decodeReference,
  ERASURE_FORMAT,
  EvidenceError,
  explainProof,
  MAX_HOST_REFERENCE_BYTES,
  MAX_PROOF_BYTES,
  MAX_REFERENCE_BYTES,
  parseErasure,
  parseProof,
  parseReference,
  verifyProof,
  type HostReference,
  type LinkState,
  type ProofReport,
  type ReferenceValues,
  type SignedReference,
} from '@ringwall/evidence';
import { EXIT_CODES, type ExitName } from '../exit-codes.ts';
import { proofPageFile } from '../installation.ts';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { bullet } from '../bullet.ts';
import { BROKER_KEY, readKnownBrokers } from '../known-brokers.ts';
import { plainText, type Style, type Terminal } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** A CA certificate is below 4 KiB; a file may hold a few. */
const CERTIFICATES_LIMIT_BYTES = 64 * 1024;

/** The format is the first that a record says, in whatever white space. */
const FORMAT_WITHIN_BYTES = 256;

const EXIT_OF_OUTCOME: Readonly<Record<ProofReport['outcome'], ExitName>> = {
  proven: 'ok',
  unanchored: 'unanchored',
  refused: 'refused',
  invalid: 'refused',
};

export async function run(invocation: Invocation): Promise<number> {
  const { values, out, json, now } = invocation;
  const file = argumentOf(invocation, 0);
  const bytes = readBounded(file, MAX_PROOF_BYTES);
  if (isErasure(bytes)) return verifyRecord(invocation, file, bytes);
  const proof = readProof(file, bytes);
  const anchor = brokerAnchor(invocation, Buffer.from(proof.broker.publicKey).toString('hex'));
  const ca = values.get('ca');
  const host = values.get('host');
  const reference = values.get('reference');
  const referenceKey = values.get('reference-key');
  const report = await verifyProof(proof, {
    ...(anchor === undefined ? {} : { brokerKey: Buffer.from(anchor.key, 'hex') }),
    ...(ca === undefined ? {} : { trustedRoots: readCertificates(ca) }),
    ...(host === undefined ? {} : { hostReference: readHostReference(host) }),
    ...(reference === undefined ? {} : { reference: readReference(reference) }),
    ...(referenceKey === undefined ? {} : { referenceKey: readKey('reference-key', referenceKey) }),
    now: new Date(now()),
  });
  const page = values.get('page');
  const pageDigest = page === undefined ? undefined : writePage(invocation, page);
  if (json) {
    printJson(invocation, JSON.parse(JSON.stringify(report, hexBytes)));
  } else {
    for (const line of renderProofReport(invocation, report)) out.line(line);
    out.line();
    for (const line of renderChain(out, report)) out.line(line);
    out.line();
    for (const line of advice(invocation, report, file, anchor?.from)) out.line(line);
    if (page !== undefined) {
      out.line(`The page is in ${page} (sha256 ${pageDigest ?? ''}).`);
      out.line(`Open it in a browser, offline, and drop ${file} on it.`);
    }
  }
  return EXIT_CODES[EXIT_OF_OUTCOME[report.outcome]].code;
}

/** By what it calls itself: whether it is one is for its parser to say. */
function isErasure(bytes: Buffer): boolean {
  return bytes.subarray(0, FORMAT_WITHIN_BYTES).includes(ERASURE_FORMAT);
}

async function verifyRecord(invocation: Invocation, file: string, bytes: Uint8Array): Promise<number> {
  const erasure = asRead(`${file} is no record of an erasure`, '`ringwall key erasure` writes it', () =>
    parseErasure(bytes),
  );
  const anchor = brokerAnchor(invocation, Buffer.from(erasure.broker.publicKey).toString('hex'));
  const { verifyErasureRecord } = await import('./verify-erasure.ts');
  const key = anchor === undefined ? undefined : Buffer.from(anchor.key, 'hex');
  const outcome = await verifyErasureRecord(invocation, erasure, key);
  return EXIT_CODES[EXIT_OF_OUTCOME[outcome]].code;
}

interface Anchor {
  readonly key: string;
  readonly from: string;
}

/** The key that the user names; else the bundle's own, where this host knows it. */
function brokerAnchor({ values, paths, environment }: Invocation, claimed: string): Anchor | undefined {
  const named = values.get('broker-key');
  if (named !== undefined) {
    return { key: readKey('broker-key', named).toString('hex'), from: '--broker-key' };
  }
  const known = readKnownBrokers(paths, environment).find(({ key }) => key === claimed);
  return known === undefined ? undefined : { key: known.key, from: known.file };
}

const KEY_HINTS = {
  'broker-key': '`ringwall prove` prints the key of its host; take it from somebody whom you trust',
  'reference-key': 'it stands in the reference values as by.publicKey; take it from somebody whom you trust',
} as const;

/** A P-256 key, or a file that begins with one. */
function readKey(option: keyof typeof KEY_HINTS, named: string): Buffer {
  const key = BROKER_KEY.test(named) ? named : readBounded(named, 4096).toString('latin1').trim().split(/\s/)[0];
  if (key !== undefined && BROKER_KEY.test(key)) return Buffer.from(key, 'hex');
  throw new RingwallError('bad-request', `--${option} is no key: 128 hexadecimal digits, or a file that begins so`, {
    hint: KEY_HINTS[option],
  });
}

/** Signed, or as somebody has written them down for themselves. */
function readReference(file: string): ReferenceValues | SignedReference {
  const text = readBounded(file, MAX_REFERENCE_BYTES).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    const isSigned = typeof value === 'object' && value !== null && 'format' in value;
    return isSigned ? decodeReference(text) : parseReference(value);
  } catch (error) {
    if (!(error instanceof EvidenceError || error instanceof SyntaxError)) throw error;
    throw new RingwallError('bad-request', `${file} holds no reference values: ${error.message}`, {
      hint: '`ringwall reference build -o FILE` writes some',
      cause: error,
    });
  }
}

function readProof(file: string, bytes: Uint8Array): ReturnType<typeof parseProof> {
  return asRead(`${file} is no proof`, 'a proof is what `ringwall prove` writes, unchanged', () => parseProof(bytes));
}

function asRead<T>(what: string, hint: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new RingwallError('proof-invalid', `${what}: ${error.message}`, { hint, cause: error });
  }
}

function readHostReference(file: string): HostReference {
  const bytes = readBounded(file, MAX_HOST_REFERENCE_BYTES);
  try {
    return decodeHostReference(bytes);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new RingwallError('bad-request', `${file} does not say what a host is: ${error.message}`, {
      hint: '`ringwall reference host` writes it, on that host',
      cause: error,
    });
  }
}

/** PEM (RFC 7468), any number of them, or one DER. */
export function readCertificates(file: string): Uint8Array[] {
  const bytes = readBounded(file, CERTIFICATES_LIMIT_BYTES);
  if (bytes[0] === 0x30) return [bytes];
  const blocks = bytes
    .toString('latin1')
    .matchAll(/-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g);
  const certificates = Array.from(blocks, ([, base64 = '']) => Buffer.from(base64, 'base64'));
  if (certificates.length > 0) return certificates;
  throw new RingwallError('bad-request', `${file} holds no certificate, neither PEM nor DER`);
}

/** Reads no more than the limit, whatever the file says that it is. */
function readBounded(file: string, limitBytes: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    if (!fstatSync(fd).isFile()) throw new RingwallError('not-found', `${file} is no file`);
    const buffer = Buffer.alloc(limitBytes + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(fd, buffer, length, buffer.length - length, null);
    }
    if (length > limitBytes) {
      throw new RingwallError('proof-invalid', `${file} has more than ${String(limitBytes)} bytes`);
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

const OUTCOME_STYLES: Readonly<Record<ProofReport['outcome'], Style>> = {
  proven: 'green',
  unanchored: 'yellow',
  refused: 'red',
  invalid: 'red',
};

const HELD: ReadonlySet<ProofReport['outcome']> = new Set(['proven', 'unanchored']);

function renderProofReport({ out }: Invocation, report: ProofReport): string[] {
  return explainProof(report).flatMap((line, index) => {
    const text = plainText(line);
    if (index === 0) {
      const colon = text.indexOf(':');
      return `${out.paint(OUTCOME_STYLES[report.outcome], text.slice(0, colon))}${text.slice(colon)}`;
    }
    if (!text.startsWith(' ')) return out.paint('bold', text);
    const sign = HELD.has(report.outcome) ? out.sign('·', '-') : out.cross;
    return bullet(out, sign, text);
  });
}

function renderChain(out: Terminal, report: ProofReport): string[] {
  const signs: Readonly<Record<LinkState, string>> = {
    holds: out.tick,
    claimed: out.bang,
    broken: out.cross,
    absent: out.sign('·', '-'),
  };
  const links = chainOf(report).flatMap(({ title, state, says }) => bullet(out, signs[state], `${title}: ${says}`));
  return [out.paint('bold', 'Chain:'), ...links];
}

/** The page of this installation, and its digest: whoever gets it from somebody can compare. */
function writePage({ installation, environment }: Invocation, to: string): string {
  const from = proofPageFile(installation);
  if (!existsSync(from)) {
    throw new RingwallError('not-found', 'the page was not built yet', { hint: 'node tools/build.ts ringwall-proof' });
  }
  const page = readFileSync(from);
  writeWhole(resolve(to), page, environment);
  return createHash('sha256').update(page).digest('hex');
}

function advice({ self }: Invocation, { outcome }: ProofReport, file: string, from: string | undefined): string[] {
  if (outcome === 'proven') return [`The broker's key is trusted by ${from ?? '--broker-key'}.`];
  if (outcome !== 'unanchored') return ['Give this machine no secret.'];
  return [
    'Anyone can make a proof that agrees with itself. Name the key of the broker that you trust, from a source other',
    `than this file: ${self} verify ${file} --broker-key KEY`,
  ];
}

function hexBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
