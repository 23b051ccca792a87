// Secure Boot's variables as firmware measures them, against the logs of machines that have it on, and off.
import { existsSync, readFileSync } from 'node:fs';
import { fromHex, ParseError, toHex, utf8 } from '@ringwall/bytes';
import { parseEventLog, parseSignatureLists, parseUefiVariable, type UefiVariable } from '@ringwall/tpm';
import { describe, expect, it } from 'vitest';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../tpm/testing/vectors.ts';
import { EvidenceError } from './errors.ts';
import { authorityEvents, PRISTINE_SECURE_BOOT, secureBootEvents, type SecureBoot } from './secure-boot.ts';

const VARIABLES = ['SecureBoot', 'PK', 'KEK', 'db', 'dbx'];
/** Logs of PFP firmware that has measured all five, in the SHA-256 bank. */
const LOGS: readonly (readonly [path: string, enabled: boolean])[] = [
  ['go-tpm-tools/ubuntu-2104-no-secure-boot.bin', false],
  ['go-tpm-tools/glinux-alex.bin', false],
  ['go-tpm-tools/rhel8-uefi.bin', true],
  ['go-tpm-tools/ubuntu-2404-amd-sevsnp.bin', false],
  ['go-tpm-tools/confidential-gke-debug-251000_eventlog.bin', true],
  ['go-tpm-tools/cos-85-amd-sev.bin', true],
  ['go-tpm-tools/cos-101-amd-sev.bin', true],
  ['go-attestation/sb_cert_eventlog', true],
  ['tpm2-tools/event-moklisttrusted.bin', true],
  ['tpm2-tools/event-postcode.bin', true],
];

interface Measured {
  readonly variable: UefiVariable;
  readonly digest: string;
}

function measured(path: string, type: string): Measured[] {
  return parseEventLog(readVector(`eventlog/${path}`)).events.flatMap((event) => {
    const digest = event.digests.get('sha256');
    if (event.pcr !== 7 || event.typeName !== type || digest === undefined) return [];
    try {
      return [{ variable: parseUefiVariable(event.data), digest: toHex(digest) }];
    } catch (error) {
      // As an old shim logged its own, with room for elements that are not there.
      if (error instanceof ParseError && type === 'EV_EFI_VARIABLE_AUTHORITY') return [];
      throw error;
    }
  });
}

/** What a person would have as files: the contents of the machine's own variables. */
function variablesOf(path: string): SecureBoot {
  const found = new Map(
    measured(path, 'EV_EFI_VARIABLE_DRIVER_CONFIG').map(({ variable }) => [variable.name, variable.data]),
  );
  const of = (name: string): Uint8Array => found.get(name) ?? new Uint8Array();
  return { enabled: of('SecureBoot')[0] === 1, PK: of('PK'), KEK: of('KEK'), db: of('db'), dbx: of('dbx') };
}

const STORE = '/usr/share/OVMF/OVMF_VARS_4M.ms.fd';
const STORE_NAME = 'OVMF_VARS_4M.ms.fd of Debian’s ovmf';
/** AUTHENTICATED_VARIABLE_HEADER of EDK II: 0x55aa, VAR_ADDED, …, sizes of name and data at 36, a GUID, name, data. */
const VARIABLE_HEADER_BYTES = 60;
const VAR_ADDED = 0x3f;

/** What a variable store holds, by name. */
function storedVariables(store: Buffer): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  const mark = Buffer.of(0xaa, 0x55, VAR_ADDED, 0);
  for (let at = store.indexOf(mark); at !== -1; at = store.indexOf(mark, at + 1)) {
    const nameAt = at + VARIABLE_HEADER_BYTES;
    const dataAt = nameAt + store.readUInt32LE(at + 36);
    const name = store.toString('utf16le', nameAt, dataAt - 2);
    found.set(name, new Uint8Array(store.subarray(dataAt, dataAt + store.readUInt32LE(at + 40))));
  }
  return found;
}

describe('a real boot of OVMF with Secure Boot on (fixtures/ovmf-secure-boot)', () => {
  const fixture = new URL('../fixtures/ovmf-secure-boot/eventlog.bin', import.meta.url);
  const log = parseEventLog(new Uint8Array(readFileSync(fixture))).events;

  it.skipIf(!existsSync(STORE))(
    `measured what its variable store leads to (skipped: needs ${STORE_NAME})`,
    async () => {
      const stored = storedVariables(readFileSync(STORE));
      const of = (name: string): Uint8Array => stored.get(name) ?? new Uint8Array();
      const predicted = { enabled: true, PK: of('PK'), KEK: of('KEK'), db: of('db'), dbx: of('dbx') };
      expect(predicted.PK.length).toBeGreaterThan(0);
      const events = await secureBootEvents(predicted);
      const seen = log.filter(({ pcr, typeName }) => pcr === 7 && typeName === 'EV_EFI_VARIABLE_DRIVER_CONFIG');
      expect(events.map(({ digest }) => digest)).toEqual(
        seen.map(({ digests }) => toHex(digests.get('sha256') ?? new Uint8Array())),
      );
    },
  );

  it('started a kernel that its keys do not allow, and measured nothing of it', () => {
    expect(log.filter(({ typeName }) => typeName === 'EV_EFI_BOOT_SERVICES_APPLICATION')).toEqual([]);
    expect(log.filter(({ typeName }) => typeName === 'EV_EFI_VARIABLE_AUTHORITY')).toEqual([]);
    expect(log.at(-1)?.typeName).toBe('EV_SEPARATOR');
  });
});

describe.skipIf(!VECTORS_PRESENT)(`secureBootEvents()${NEEDS_VECTORS}`, () => {
  it.each(LOGS)('of the variables of %s are what its firmware measured, in its order', async (path, enabled) => {
    const secureBoot = variablesOf(path);
    expect(secureBoot.enabled).toBe(enabled);
    const events = await secureBootEvents(secureBoot);
    const log = measured(path, 'EV_EFI_VARIABLE_DRIVER_CONFIG').filter(({ variable }) =>
      VARIABLES.includes(variable.name),
    );
    expect(events.map(({ what, digest }) => `${what} ${digest}`)).toEqual(
      log.map(({ variable, digest }) => `UEFI variable ${variable.name} ${digest}`),
    );
  });

  it('finds what allowed an image by the entry of db alone, as firmware measured it', async () => {
    let compared = 0;
    for (const [path] of LOGS.filter(([, enabled]) => enabled)) {
      const secureBoot = variablesOf(path);
      const entries = parseSignatureLists(secureBoot.db, 0).flatMap(({ signatures }) => signatures);
      const authorities = measured(path, 'EV_EFI_VARIABLE_AUTHORITY').filter(({ variable }) => variable.name === 'db');
      for (const { variable, digest } of authorities) {
        const entry = entries.find(({ data }) => toHex(variable.data).endsWith(toHex(data)));
        if (entry === undefined) throw new Error(`${path}: an authority that is not in db`);
        const [event] = await authorityEvents({ ...secureBoot, authority: entry.data });
        expect(event?.digest, path).toBe(digest);
        compared += 1;
      }
    }
    expect(compared).toBeGreaterThanOrEqual(7);
  });
});

describe('secureBootEvents()', () => {
  it('of a pristine store are those of a real boot without Secure Boot', async () => {
    const [flag] = await secureBootEvents(PRISTINE_SECURE_BOOT);
    expect(flag).toMatchObject({ pcr: 7, type: 'EV_EFI_VARIABLE_DRIVER_CONFIG', what: 'UEFI variable SecureBoot' });
    expect(flag?.digest).toBe('115aa827dbccfb44d216ad9ecfda56bdea620b860a94bed5b7a27bba1c4d02d8');
    expect(await authorityEvents(PRISTINE_SECURE_BOOT)).toEqual([]);
  });

  const list = fromHex(`a159c0a5e494a74a87b5ab155c2bf072300000000000000014000000${'11'.repeat(16)}22222222`);
  it.each<[what: string, given: Partial<SecureBoot>, message: RegExp]>([
    ['Secure Boot without a platform key', { enabled: true }, /without a platform key/],
    ['a variable that holds no signature lists', { db: utf8('hello, I am a certificate and no list') }, /db holds no/],
    ['a variable that is too large', { dbx: new Uint8Array(300 * 1024) }, /at most/],
  ])('refuses %s', async (_what, given, message) => {
    const events = secureBootEvents({ ...PRISTINE_SECURE_BOOT, ...given });
    await expect(events).rejects.toThrow(EvidenceError);
    await expect(events).rejects.toThrow(message);
  });

  it('demands the entry of db that allows the image, and that it is one', async () => {
    const on = { ...PRISTINE_SECURE_BOOT, enabled: true, PK: list, db: list };
    await expect(authorityEvents(on)).rejects.toThrow('nobody said which entry');
    await expect(authorityEvents({ ...on, authority: utf8('other') })).rejects.toThrow('no entry of db');
    expect(await authorityEvents({ ...on, authority: fromHex('22222222') })).toMatchObject([
      { pcr: 7, type: 'EV_EFI_VARIABLE_AUTHORITY' },
    ]);
  });
});
