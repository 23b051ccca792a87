// Advisories on their way to other machines: one file, signed by whoever exports it, whole or only what changed since a serial
// number. A line of JSON says what is in it, a line has the Ed25519 signature (RFC 8032) of that line, and the rest are
// records, one a line, in zstd. Nothing behind the signature is looked at before it holds.
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { createZstdDecompress, zstdCompressSync } from 'node:zlib';
import { RingwallError } from '@ringwall/api/errors';
import { AdvisoryDatabase } from './database.ts';
import { applyRecord, recordsSince } from './records.ts';

const FORMAT = 'ringwall-advisories/1';
/** Before the line that is signed, so that no signature of another kind of file counts here. */
const CONTEXT = 'ringwall advisories 1\n';
const MAX_HEADER_BYTES: number = 256 * 1024;
const MAX_BUNDLE_BYTES: number = 1024 * 1024 * 1024;
/** Of the records, unpacked: a bomb ends here. All of OSV has some 2 GiB. */
const MAX_UNPACKED_BYTES: number = 8 * 1024 * 1024 * 1024;
const MAX_RECORD_CHARACTERS: number = 32 * 1024 * 1024;

export interface BundleHeader {
  readonly format: typeof FORMAT;
  readonly lineage: string;
  /** Records after this serial number; 0 for all. */
  readonly since: number;
  readonly serial: number;
  readonly date: string;
  readonly sha256: string;
  /** Raw, in base64. */
  readonly publisher: string;
}

/** `key`: an Ed25519 private key, PKCS#8 in PEM. */
export function exportBundle(database: AdvisoryDatabase, key: string, since: number, now: number): Uint8Array {
  const signer = ed25519(key, 'private');
  if (since > database.serial)
    throw new RingwallError('bad-request', `--since ${since}, and the newest here is ${database.serial}`);
  const oldest = Number(database.meta('oldest'));
  if (since > 0 && since < oldest)
    throw new RingwallError('bad-request', `--since ${since}, and the oldest here is ${oldest}`);
  const lines: string[] = [];
  for (const record of recordsSince(database, since)) lines.push(JSON.stringify(record));
  const payload = zstdCompressSync(lines.join('\n'));
  const header: BundleHeader = {
    format: FORMAT,
    lineage: database.lineage,
    since,
    serial: database.serial,
    date: new Date(now).toISOString(),
    sha256: createHash('sha256').update(payload).digest('hex'),
    publisher: rawKey(createPublicKey(signer)),
  };
  const line = JSON.stringify(header);
  const signature = sign(null, Buffer.from(CONTEXT + line), signer).toString('base64');
  return Buffer.concat([Buffer.from(`${line}\n${signature}\n`), payload]);
}

/**
 * `key`: the public key of whoever one trusts, in PEM; without it that of the file which is here already. Throws RingwallError:
 * `proof-invalid` where the signature is not theirs, `conflict` where it does not go on from what is here.
 */
export async function importBundle(path: string, file: string, key: string | undefined): Promise<BundleHeader> {
  if (statSync(file).size > MAX_BUNDLE_BYTES)
    throw new RingwallError('too-large', `${file} has more than ${MAX_BUNDLE_BYTES} bytes`);
  const bytes = readFileSync(file);
  const known = existsSync(path) ? readState(path) : undefined;
  const trusted = key === undefined ? known?.publisher : rawKey(ed25519(key, 'public'));
  if (trusted === undefined || trusted === '') {
    throw new RingwallError('bad-request', 'no key says whose advisories you take', {
      hint: '--key FILE: the public key of whoever exports them; later imports know it',
    });
  }
  const { header, payload } = verifyBundle(bytes, trusted, file);
  if (header.since > 0 && (known?.lineage !== header.lineage || known.serial < header.since)) {
    const here = known === undefined || known.lineage !== header.lineage ? 'nothing of them' : `number ${known.serial}`;
    throw new RingwallError(
      'conflict',
      `${file} holds what changed after number ${header.since}, and here is ${here}`,
      {
        hint: 'ask for a whole export, or for one since the number that is here',
      },
    );
  }
  if (known?.lineage === header.lineage && header.serial < known.serial) {
    throw new RingwallError(
      'conflict',
      `${file} is older (number ${header.serial}) than what is here (${known.serial})`,
    );
  }
  if (header.since === 0) await importWhole(path, header, payload);
  else await importInto(path, header, payload);
  return header;
}

function readState(path: string): { readonly lineage: string; readonly serial: number; readonly publisher: string } {
  using database = AdvisoryDatabase.openToRead(path);
  return { lineage: database.lineage, serial: database.serial, publisher: database.meta('publisher') };
}

function verifyBundle(
  bytes: Buffer,
  trusted: string,
  file: string,
): { readonly header: BundleHeader; readonly payload: Buffer } {
  const invalid = (why: string): RingwallError => new RingwallError('proof-invalid', `${file}: ${why}`);
  const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(10);
  const signatureEnd = bytes.subarray(0, MAX_HEADER_BYTES).indexOf(10, end + 1);
  if (end < 0 || signatureEnd < 0) throw invalid('is no export of advisories');
  const line = bytes.subarray(0, end);
  const signature = Buffer.from(bytes.subarray(end + 1, signatureEnd).toString('latin1'), 'base64');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64Url(trusted) }, format: 'jwk' });
  if (!verify(null, Buffer.concat([Buffer.from(CONTEXT), line]), publicKey, signature)) {
    throw invalid('its signature is not of the key that you trust');
  }
  const header = parseHeader(line.toString('utf8'));
  if (header === undefined) throw invalid('is of another version');
  const payload = bytes.subarray(signatureEnd + 1);
  if (createHash('sha256').update(payload).digest('hex') !== header.sha256)
    throw invalid('was altered after it was signed');
  return { header, payload };
}

function parseHeader(line: string): BundleHeader | undefined {
  const value: unknown = JSON.parse(line);
  return isHeader(value) ? value : undefined;
}

function isHeader(value: unknown): value is BundleHeader {
  if (typeof value !== 'object' || value === null) return false;
  const field = (name: string): unknown => Reflect.get(value, name);
  return (
    field('format') === FORMAT &&
    ['lineage', 'date', 'sha256', 'publisher'].every((name) => typeof field(name) === 'string') &&
    ['since', 'serial'].every((name) => Number.isSafeInteger(field(name)))
  );
}

/** Beside what is here, and in its place when all of it is written. */
async function importWhole(path: string, header: BundleHeader, payload: Buffer): Promise<void> {
  const beside = `${path}.new`;
  rmSync(beside, { force: true });
  try {
    await importInto(beside, header, payload);
    renameSync(beside, path);
  } finally {
    rmSync(beside, { force: true });
  }
}

async function importInto(path: string, header: BundleHeader, payload: Buffer): Promise<void> {
  using database = AdvisoryDatabase.openToWrite(path);
  database.sqlite.exec('BEGIN IMMEDIATE');
  try {
    const writer = database.openWriter();
    for await (const record of recordsOf(payload)) applyRecord(database, writer, record, header.serial);
    writer.finish();
    database.setMeta('lineage', header.lineage);
    database.setMeta('serial', String(header.serial));
    database.setMeta('publisher', header.publisher);
    database.setMeta('published', header.date);
    // What was deleted before is not known here: no delta can begin earlier.
    if (header.since === 0) database.setMeta('oldest', String(header.serial));
    database.sqlite.exec('COMMIT');
  } catch (error) {
    if (database.sqlite.isTransaction) database.sqlite.exec('ROLLBACK');
    throw error;
  }
}

async function* recordsOf(payload: Buffer): AsyncGenerator {
  const unpacked = createZstdDecompress();
  let bytes = 0;
  unpacked.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_UNPACKED_BYTES)
      unpacked.destroy(new RingwallError('too-large', `unpacks to more than ${MAX_UNPACKED_BYTES} bytes`));
  });
  Readable.from(chunksOf(payload)).pipe(unpacked);
  for await (const line of createInterface({ input: unpacked, crlfDelay: Infinity })) {
    if (line.length > MAX_RECORD_CHARACTERS) throw new RingwallError('too-large', 'a record is too long');
    if (line !== '') yield JSON.parse(line);
  }
}

const CHUNK_BYTES: number = 1024 * 1024;

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

function ed25519(pem: string, what: 'private' | 'public'): KeyObject {
  try {
    const key = what === 'private' ? createPrivateKey(pem) : createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below.
  }
  throw new RingwallError('bad-request', `the key is no ${what} key of Ed25519 in PEM`, {
    hint: 'openssl genpkey -algorithm ed25519 -out our.key && openssl pkey -in our.key -pubout -out our.pub',
  });
}

function rawKey(key: KeyObject): string {
  return Buffer.from(String(key.export({ format: 'jwk' }).x), 'base64url').toString('base64');
}

function base64Url(base64: string): string {
  return Buffer.from(base64, 'base64').toString('base64url');
}
