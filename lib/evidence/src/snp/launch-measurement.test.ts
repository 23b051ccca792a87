// The expected values are what virtee/sev-snp-measure (2026) says of the same firmware, which is made here.
import { concatBytes, fromHex, toHex, utf8, Writer } from '@ringwall/bytes';
import { describe, expect, it } from 'vitest';
import { EvidenceError } from '../errors.ts';
import { predictSnpMeasurement, type SnpLaunch } from './launch-measurement.ts';
import { MAX_FIRMWARE_BYTES } from './sev-firmware.ts';

const FOOTER = 'de82b596b21ff745baeaa366c55a082d';
const HASH_TABLE = '1f3755723b3a044b927b1da6efa8d454';
const RESET_BLOCK = 'de71f7007e1acb4f890e68c77e2fb44e';
const METADATA = '666588dc4a989847a75e5585a7bf67cc';
const SECTIONS: readonly (readonly [gpa: number, size: number, type: number])[] = [
  [0x800000, 0x9000, 1],
  [0x80a000, 0x3000, 1],
  [0x80d000, 0x1000, 2],
  [0x80e000, 0x1000, 3],
  [0x80f000, 0x1000, 4],
  [0x810000, 0x1000, 0x10],
];

interface FirmwareChanges {
  readonly footer?: string;
  readonly entries?: readonly (readonly [guid: string, data: Uint8Array])[];
  readonly sections?: typeof SECTIONS;
  readonly signature?: string;
  readonly version?: number;
}

/** Two pages: a pattern, the metadata in the middle of the second, and the table of GUIDs before its last 32 bytes. */
function makeFirmware(changes: FirmwareChanges = {}): Uint8Array {
  const sections = changes.sections ?? SECTIONS;
  const file = Uint8Array.from({ length: 8192 }, (_, at) => (at * 7) % 251);
  const metadata = new Writer()
    .bytes(utf8(changes.signature ?? 'ASEV'))
    .u32le(16 + 12 * sections.length)
    .u32le(changes.version ?? 1)
    .u32le(sections.length);
  for (const section of sections) for (const word of section) metadata.u32le(word);
  file.set(metadata.finish(), 6000);
  const word = (value: number): Uint8Array => new Writer().u32le(value).finish();
  const entries = changes.entries ?? [
    [METADATA, word(8192 - 6000)],
    [RESET_BLOCK, word(0x0080_b004)],
    [HASH_TABLE, concatBytes(word(0x0081_0c00), word(0x400))],
  ];
  const body = entries.map(([guid, data]) =>
    new Writer()
      .bytes(data)
      .u16le(data.length + 18)
      .bytes(fromHex(guid))
      .finish(),
  );
  const bytes = body.reduce((total, entry) => total + entry.length, 18);
  const footer = new Writer()
    .u16le(bytes)
    .bytes(fromHex(changes.footer ?? FOOTER))
    .finish();
  const table = concatBytes(...body, footer);
  file.set(table, 8192 - 32 - table.length);
  return file;
}

const launch: SnpLaunch = { firmware: makeFirmware(), processors: 1, processorSignature: 0x0080_0f12, features: 1n };
const kernel = { kernel: utf8('a kernel'), initrd: utf8('an initrd'), commandLine: 'console=ttyS0' };

describe('predictSnpMeasurement()', () => {
  it.each<[what: string, changes: Partial<SnpLaunch>, expected: string]>([
    [
      'firmware alone',
      {},
      '093d081b834bfa0e7798dfd04b9bd0095c02ae8a71654f8def47872b375d698e73e7d56418d179373eee228b57e46234',
    ],
    [
      'a kernel',
      { kernel },
      'f6d14d70df4a1039536f8d475c415017539c81f1951ba55956578e455effb2b42c403226076778b561b6536f061546f7',
    ],
    [
      'a kernel without an initrd',
      { kernel: { ...kernel, initrd: new Uint8Array() } },
      '3af90c9c81ae740a109e07bec1e255a4eca7a239ca288beadf5b8b2c8d9f6e7404bc220f09c920921652f242e7c71458',
    ],
    [
      'four processors of a Milan',
      { kernel, processors: 4, processorSignature: 0x00a0_0f11 },
      '4ee0ba7af42a0b8c01f373042decaf36641ce0290f8abce7e3dc1940fc27032b3e91bc08560e550e181800f600b73aae',
    ],
    [
      'more features',
      { features: 0x21n },
      '17eb57d7b03ab1f73fc7676800bac2174e5bcbe771e055b6ff603fe1d9a3f19361f0fc27c12287e478c81c97405b31e5',
    ],
  ])('of %s', async (_what, changes, expected) => {
    expect(toHex(await predictSnpMeasurement({ ...launch, ...changes }))).toBe(expected);
  });

  it('differs by each thing that is measured', async () => {
    const other = makeFirmware();
    other[100] = 0;
    const launches: readonly Partial<SnpLaunch>[] = [
      { kernel },
      { kernel: { ...kernel, kernel: utf8('another') } },
      { kernel: { ...kernel, initrd: utf8('another') } },
      { kernel: { ...kernel, commandLine: 'console=ttyS1' } },
      { kernel, firmware: other },
      { kernel, processors: 2 },
      { kernel, features: 3n },
      { kernel, processorSignature: 0 },
      {},
    ];
    const seen = await Promise.all(
      launches.map(async (changes) => toHex(await predictSnpMeasurement({ ...launch, ...changes }))),
    );
    expect(new Set(seen).size).toBe(launches.length);
  });

  it.each<[what: string, changes: Partial<SnpLaunch>]>([
    ['no processor', { processors: 0 }],
    ['half a processor', { processors: 1.5 }],
    ['nothing', { firmware: new Uint8Array() }],
    ['a firmware that is no pages', { firmware: makeFirmware().subarray(1) }],
    ['a firmware that is too large', { firmware: new Uint8Array(MAX_FIRMWARE_BYTES + 4096) }],
    ['a firmware without SEV', { firmware: new Uint8Array(8192) }],
    ['another footer', { firmware: makeFirmware({ footer: '00'.repeat(16) }) }],
    ['no reset block', { firmware: makeFirmware({ entries: [[METADATA, fromHex('90080000')]] }) }],
    ['another signature of the metadata', { firmware: makeFirmware({ signature: 'VESA' }) }],
    ['another version of the metadata', { firmware: makeFirmware({ version: 2 }) }],
    ['memory of an unknown type', { firmware: makeFirmware({ sections: [[0x800000, 0x1000, 9]] }) }],
    ['memory that is no pages', { firmware: makeFirmware({ sections: [[0x800000, 100, 1]] }) }],
    ['more memory than anyone asks for', { firmware: makeFirmware({ sections: [[0, 0xffff_f000, 1]] }) }],
    ['a kernel for a firmware that has no place for it', { kernel, firmware: makeFirmware({ sections: [] }) }],
  ])('refuses %s', async (_what, changes) => {
    await expect(predictSnpMeasurement({ ...launch, ...changes })).rejects.toThrow(EvidenceError);
  });

  it('says so of any bytes of the table, and reads on', async () => {
    const good = makeFirmware();
    for (let at = 6000; at < 8192; at += 37) {
      const firmware = new Uint8Array(good);
      firmware[at] = (firmware[at] ?? 0) ^ 0xff;
      const result = await predictSnpMeasurement({ ...launch, firmware }).catch((error: unknown) => error);
      expect(result instanceof Uint8Array || result instanceof EvidenceError, `byte ${at}`).toBe(true);
    }
  });
});
