// `ringwall reference build FILE.json` and `reference sign`: reference values by the word of whoever runs this, with a key of
// their own, offline: computed from loose artefacts, or taken over from somebody whose values they have looked at.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import {
  decodeReference,
  encodeReference,
  EvidenceError,
  MAX_PE_BYTES,
  MAX_REFERENCE_BYTES,
  MAX_VARIABLE_BYTES,
  parseFirmwareManifest,
  predictBoot,
  PRISTINE_SECURE_BOOT,
  signReference,
  type ReferenceContent,
  type SecureBoot,
  type SignedReference,
  type Signer,
} from '@ringwall/evidence';
import { printJson, type Invocation } from '../invocation.ts';
import { writeWhole } from '../write-whole.ts';

const DAY_MS = 24 * 3600 * 1000;
/** As long as a host's own. */
const DEFAULT_DAYS = 90;
const MAX_DAYS = 730;
const ARTEFACTS_LIMIT_BYTES = 64 * 1024;
const KEY_LIMIT_BYTES = 4096;
const MIB = 1024 * 1024;
const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const KEYS = ['image', 'kernel', 'initrd', 'commandLine', 'verityRoot', 'firmware', 'memoryMiB', 'secureBoot'];
const SECURE_BOOT_FILES = ['PK', 'KEK', 'db', 'dbx', 'authority'] as const;

/** FILE.json names the artefacts; paths in it are relative to it. */
export async function buildOwn(invocation: Invocation, file: string): Promise<void> {
  const content = await explained(file, () => contentOf(file));
  await write(invocation, content);
}

/** Takes over what somebody else has computed: the same id, another word. */
export async function signOwn(invocation: Invocation, file: string): Promise<void> {
  const {
    for: about,
    events,
    packages,
  } = await explained(file, async () => decodeReference(readBounded(file, MAX_REFERENCE_BYTES)));
  await write(invocation, { for: about, events, packages });
}

async function write(invocation: Invocation, content: ReferenceContent): Promise<void> {
  const { out, self, values, json, now } = invocation;
  const [keyFile, output] = [values.get('key'), values.get('output')];
  if (keyFile === undefined || output === undefined) {
    throw usage('whose word is it, and where to? --key FILE and -o FILE', 'openssl genpkey makes a P-256 key');
  }
  const days = Number(values.get('days') ?? DEFAULT_DAYS);
  if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) throw usage(`--days is not 1 to ${String(MAX_DAYS)}`, '');
  const signer = await readSigner(keyFile);
  const reference = await explained(output, () =>
    signReference(
      {
        ...content,
        by: values.get('by') ?? 'a tenant',
        notBefore: new Date(now()),
        notAfter: new Date(now() + days * DAY_MS),
      },
      signer,
    ),
  );
  writeWhole(output, encodeReference(reference), invocation.environment);
  const key = Buffer.from(signer.publicKey).toString('hex');
  if (json) {
    printJson(invocation, { file: output, id: reference.id, key, notAfter: reference.notAfter.toISOString() });
    return;
  }
  for (const line of told(reference, { self, output, key })) out.line(line);
}

function told(
  { id, for: about, events, notAfter }: SignedReference,
  { self, output, key }: { readonly self: string; readonly output: string; readonly key: string },
): readonly string[] {
  return [
    `What ${about.image.name} must measure, ${String(events.length)} events, is in ${output}, by your word until ${notAfter.toISOString().slice(0, 10)}:`,
    `  ${id}`,
    `Put it in force: ${self} reference accept ./${output.replace(/^\.\//, '')}`,
    'Proofs count by it where its key is named:',
    `  ${self} verify proof.json --reference-key ${key}`,
  ];
}

async function contentOf(file: string): Promise<ReferenceContent> {
  const given = objectOf(JSON.parse(readBounded(file, ARTEFACTS_LIMIT_BYTES).toString('utf8')), 'the file', KEYS);
  const path = (value: unknown, what: string): string => resolve(dirname(file), textOf(value, what));
  const image = objectOf(given['image'], 'image', ['name', 'digest']);
  const [kernel, initrd] = [path(given['kernel'], 'kernel'), path(given['initrd'], 'initrd')].map((each) =>
    readBounded(each, MAX_PE_BYTES),
  );
  if (kernel === undefined || initrd === undefined) throw usage(`${file} names no kernel and no initrd`, '');
  const { memoryMiB, verityRoot } = given;
  if (typeof memoryMiB !== 'number') throw usage('memoryMiB is not a number', 'QEMU writes it into the kernel');
  const commandLine = textOf(given['commandLine'], 'commandLine');
  if (verityRoot !== undefined && !commandLine.includes(textOf(verityRoot, 'verityRoot'))) {
    throw usage('the command line does not carry the verity root', 'then nothing would bind the system image');
  }
  const reference = await predictBoot({
    firmware: parseFirmwareManifest(
      JSON.parse(readBounded(path(given['firmware'], 'firmware'), ARTEFACTS_LIMIT_BYTES).toString('utf8')),
    ),
    kernel,
    initrd,
    commandLine,
    memoryBytes: memoryMiB * MIB,
    image: { name: textOf(image['name'], 'image.name'), digest: textOf(image['digest'], 'image.digest') },
    secureBoot: given['secureBoot'] === undefined ? PRISTINE_SECURE_BOOT : secureBootOf(given['secureBoot'], path),
  });
  const sha256 = createHash('sha256').update(kernel).digest('hex');
  return {
    for: { firmware: reference.firmware, kernel: { name: 'kernel', digest: sha256 }, image: reference.image },
    events: reference.events,
    packages: [],
  };
}

function secureBootOf(value: unknown, path: (value: unknown, what: string) => string): SecureBoot {
  const given = objectOf(value, 'secureBoot', ['enabled', ...SECURE_BOOT_FILES]);
  const read = (name: (typeof SECURE_BOOT_FILES)[number]): Uint8Array | undefined =>
    given[name] === undefined ? undefined : readBounded(path(given[name], `secureBoot.${name}`), MAX_VARIABLE_BYTES);
  const nothing = new Uint8Array();
  const authority = read('authority');
  return {
    enabled: given['enabled'] === true,
    PK: read('PK') ?? nothing,
    KEK: read('KEK') ?? nothing,
    db: read('db') ?? nothing,
    dbx: read('dbx') ?? nothing,
    ...(authority === undefined ? {} : { authority }),
  };
}

/** PKCS#8 in PEM (RFC 7468), as `openssl genpkey` writes it. */
async function readSigner(file: string): Promise<Signer> {
  const text = readBounded(file, KEY_LIMIT_BYTES).toString('latin1');
  const [, base64 = ''] = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(text) ?? [];
  try {
    const key = await crypto.subtle.importKey('pkcs8', Buffer.from(base64, 'base64'), P256, true, ['sign']);
    const { x = '', y = '' } = await crypto.subtle.exportKey('jwk', key);
    return {
      publicKey: Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]),
      sign: async (message) =>
        new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, new Uint8Array(message))),
    };
  } catch (cause) {
    throw new RingwallError('bad-request', `${file} holds no P-256 key in PEM (PKCS#8)`, {
      hint: 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out our.pem',
      cause,
    });
  }
}

async function explained<T>(file: string, make: () => T | Promise<T>): Promise<T> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof EvidenceError || error instanceof SyntaxError)) throw error;
    throw usage(`${file}: ${error.message}`, '');
  }
}

function objectOf(value: unknown, what: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw usage(`${what} is no object`, '');
  const odd = Object.keys(value).find((key) => !keys.includes(key));
  if (odd !== undefined) throw usage(`${what} has ${JSON.stringify(odd)}`, `it has ${keys.join(', ')}`);
  return Object.fromEntries(Object.entries(value));
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw usage(`${what} is no text`, '');
}

function readBounded(file: string, limitBytes: number): Buffer {
  if (statSync(file).size > limitBytes) throw usage(`${file} has more than ${String(limitBytes)} bytes`, '');
  return readFileSync(file);
}

function usage(message: string, hint: string): RingwallError {
  return new RingwallError('bad-request', message, hint === '' ? {} : { hint });
}
