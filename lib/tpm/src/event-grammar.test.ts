import { concatBytes, fromHex, ParseError, utf8, Writer } from '@ringwall/bytes';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt } from '../testing/attempt.ts';
import { parsedLog } from '../testing/event-log.ts';
import {
  CERT_SHA256,
  CERT_X509,
  END_NODE,
  fileNode,
  imageLoad,
  loadOption,
  nestedTags,
  partitionTable,
  pathNode,
  SECURITY_DATABASE,
  SHIM_LOCK,
  signatureList,
  uefiVariable,
  utf16,
} from '../testing/uefi.ts';
import { parseEventData, type EventData } from './event-data.ts';
import { EV, eventTypeName } from './event-types.ts';

function parse(type: number, data: Uint8Array, strict = false): EventData {
  const event = parsedLog({ pcr: 1, type, data }).events[1];
  if (event === undefined) throw new Error('expected an event');
  return parseEventData(event, { strict });
}

const GUID = fromHex('33221100554477668899aabbccddeeff');
const GUID_TEXT = '00112233-4455-6677-8899-aabbccddeeff';
const sized = (text: string): Uint8Array => concatBytes(Uint8Array.of(text.length + 1), utf8(`${text}\0`));
const blob = new Writer().u64le(0x8000n).u64le(0x100n).finish();
const handoff = new Writer().u64le(1n).bytes(GUID).u64le(0x7000n).finish();
const digest = new Uint8Array(32).fill(0xd1);

function spdm2(body: Uint8Array, subType: number): Uint8Array {
  const rest = new Writer().u32le(1).u32le(subType).u32le(body.length).u64le(5n).u64le(0n).bytes(body).finish();
  return new Writer().bytes(utf8('SPDM Device Sec2')).u16le(2).u8(0).u8(0).u32le(rest.length).bytes(rest).finish();
}

const measurementBlock = concatBytes(Uint8Array.of(1, 1, 3, 0), Uint8Array.of(9, 9, 9));
const locator = (type: number, bytes: Uint8Array): Uint8Array =>
  new Writer()
    .u32le(type)
    .sized32le((inner) => inner.bytes(bytes))
    .finish();
const manifestHead = (version: '' | '2' | '3'): Uint8Array =>
  concatBytes(
    utf8(version === '' ? 'SP800-155 Event\0' : `SP800-155 Event${version}`),
    Uint8Array.of(9, 0, 0, 0),
    GUID,
  );
const manifestNames = concatBytes(
  sized('Maker'),
  sized('Model'),
  sized('1'),
  sized('Firm'),
  Uint8Array.of(7, 0, 0, 0),
  sized('2'),
);

/** One of each type: its data, and what its grammar makes of it. */
const SAMPLES: readonly (readonly [type: number, data: Uint8Array, expected: object])[] = [
  [EV.POST_CODE, utf8('ACPI DATA'), { kind: 'text', text: 'ACPI DATA' }],
  [EV.POST_CODE, blob, { kind: 'firmware-blob', base: 0x8000n, length: 0x100n }],
  [EV.POST_CODE2, concatBytes(sized('POST CODE'), blob), { kind: 'firmware-blob', description: 'POST CODE' }],
  [EV.NO_ACTION, utf8('StartupLocality\0\u0003'), { kind: 'startup-locality', locality: 3 }],
  [
    EV.NO_ACTION,
    concatBytes(utf8('H-CRTM CompMeas\0'), sized('uCode'), Uint8Array.of(0, 2, 0, 1, 2)),
    { kind: 'hcrtm-component', description: 'uCode', format: 'digest', measurement: Uint8Array.of(1, 2) },
  ],
  [
    EV.NO_ACTION,
    concatBytes(utf8('Spec ID Event02\0'), new Uint8Array(4), Uint8Array.of(2, 1, 0, 2, 0)),
    { kind: 'spec-id', signature: 'Spec ID Event02', version: '1.2 errata 0', algorithms: [] },
  ],
  [EV.NO_ACTION, manifestHead(''), { kind: 'reference-manifest', version: 1, vendorId: 9, manifestGuid: GUID_TEXT }],
  [
    EV.NO_ACTION,
    concatBytes(manifestHead('2'), manifestNames),
    {
      kind: 'reference-manifest',
      version: 2,
      platformModel: 'Model',
      firmwareVersion: '2',
      manifestLocator: undefined,
    },
  ],
  [
    EV.NO_ACTION,
    concatBytes(
      manifestHead('3'),
      manifestNames,
      locator(1, utf8('https://rim')),
      locator(3, concatBytes(GUID, utf16('Rim\0'))),
    ),
    {
      kind: 'reference-manifest',
      version: 3,
      firmwareManufacturerId: 7,
      manifestLocator: { kind: 'uri', text: 'https://rim' },
      certificateLocator: { kind: 'variable', text: `${GUID_TEXT}-Rim` },
    },
  ],
  [
    EV.NO_ACTION,
    concatBytes(utf8('NvIndexInstance\0'), Uint8Array.of(1, 0), new Uint8Array(6), Uint8Array.of(5)),
    { kind: 'nv-index-record', index: 'instance', version: 1, data: Uint8Array.of(5) },
  ],
  [EV.NO_ACTION, utf8('whatever Windows notes'), { kind: 'bytes' }],
  [EV.SEPARATOR, new Uint8Array(4), { kind: 'separator', meaning: 'end-of-preboot' }],
  [EV.SEPARATOR, new Uint8Array(4).fill(0xff), { kind: 'separator', meaning: 'end-of-preboot' }],
  [EV.SEPARATOR, Uint8Array.of(1, 0, 0, 0), { kind: 'separator', meaning: 'error' }],
  [EV.SEPARATOR, utf8('WBCL'), { kind: 'separator', meaning: 'other' }],
  [EV.ACTION, utf8('User Password Entered'), { kind: 'text', text: 'User Password Entered' }],
  [
    EV.EVENT_TAG,
    concatBytes(fromHex('ed223b8f1a000000'), utf8('LOADED_IMAGE::LoadOptions\0')),
    { kind: 'tagged', tags: [{ name: 'load-options', text: 'LOADED_IMAGE::LoadOptions' }] },
  ],
  [
    EV.EVENT_TAG,
    concatBytes(fromHex('01000140'), Uint8Array.of(9, 0, 0, 0), fromHex('0200050001000000'), Uint8Array.of(1)),
    { kind: 'tagged', tags: [{ id: 0x4001_0001, children: [{ id: 0x0005_0002, data: Uint8Array.of(1) }] }] },
  ],
  [EV.EVENT_TAG, utf8('LOADED_IMAGE::LoadOptions\0'), { kind: 'text', text: 'LOADED_IMAGE::LoadOptions' }],
  [EV.S_CRTM_CONTENTS, utf8('Boot Guard Measured S-CRTM\0'), { kind: 'text' }],
  [EV.S_CRTM_VERSION, utf16('1.2.3\0'), { kind: 'crtm-version', version: '1.2.3' }],
  [EV.S_CRTM_VERSION, GUID, { kind: 'crtm-version', version: GUID_TEXT }],
  [EV.CPU_MICROCODE, utf8('CPU Microcode\0'), { kind: 'text' }],
  [EV.PLATFORM_CONFIG_FLAGS, Uint8Array.of(1, 2), { kind: 'bytes' }],
  [EV.TABLE_OF_DEVICES, Uint8Array.of(1, 2), { kind: 'bytes' }],
  [EV.COMPACT_HASH, Uint8Array.of(1, 0, 0, 0), { kind: 'bytes' }],
  [EV.IPL, utf8('grub_cmd: insmod ext2\0'), { kind: 'ipl', writer: 'grub', what: 'command', text: 'insmod ext2' }],
  [EV.IPL, utf8('kernel_cmdline: /vmlinuz ro\0'), { kind: 'ipl', what: 'kernel-command-line', text: '/vmlinuz ro' }],
  [EV.IPL, utf8('module_cmdline: /initrd\0'), { kind: 'ipl', what: 'module-command-line' }],
  [EV.IPL, utf8('(hd0,gpt1)/boot/grub/grub.cfg\0'), { kind: 'ipl', writer: 'grub', what: 'file' }],
  [EV.IPL, utf8('MokList\0'), { kind: 'ipl', writer: 'shim', what: 'variable', text: 'MokList' }],
  [EV.IPL, utf16('quiet splash\0'), { kind: 'ipl', writer: 'systemd', text: 'quiet splash' }],
  [EV.IPL, Uint8Array.of(0x80, 0x81), { kind: 'bytes' }],
  [EV.IPL_PARTITION_DATA, Uint8Array.of(0x80), { kind: 'bytes' }],
  [EV.NONHOST_CODE, Uint8Array.of(0x80), { kind: 'bytes' }],
  [EV.NONHOST_CONFIG, Uint8Array.of(0x80), { kind: 'bytes' }],
  [EV.NONHOST_INFO, utf8('GCE NonHostInfo\0'), { kind: 'text' }],
  [EV.OMIT_BOOT_DEVICE_EVENTS, utf8('BOOT ATTEMPTS OMITTED'), { kind: 'text' }],
  [
    EV.EFI_VARIABLE_DRIVER_CONFIG,
    uefiVariable('SecureBoot', Uint8Array.of(1)),
    { kind: 'variable', name: 'SecureBoot', content: { kind: 'flag', value: true } },
  ],
  [
    EV.EFI_VARIABLE_DRIVER_CONFIG,
    uefiVariable(
      'db',
      concatBytes(signatureList(CERT_X509, utf8('certificate')), signatureList(CERT_SHA256, digest, digest)),
      SECURITY_DATABASE,
    ),
    {
      content: {
        kind: 'signature-lists',
        lists: [
          { type: 'x509', signatures: [{ data: utf8('certificate') }] },
          { type: 'sha256', signatures: [{ data: digest }, { data: digest }] },
        ],
      },
    },
  ],
  [
    EV.EFI_VARIABLE_DRIVER_CONFIG,
    uefiVariable('PK', new Uint8Array(0)),
    { content: { kind: 'signature-lists', lists: [] } },
  ],
  [
    EV.EFI_VARIABLE_BOOT,
    uefiVariable('BootOrder', Uint8Array.of(1, 0, 0x1f, 0)),
    { content: { kind: 'boot-order', options: ['Boot0001', 'Boot001F'] } },
  ],
  [
    EV.EFI_VARIABLE_BOOT2,
    uefiVariable('Boot0001', loadOption('Linux', concatBytes(fileNode('\\EFI\\a.efi'), END_NODE), 'quiet')),
    {
      content: {
        kind: 'load-option',
        description: 'Linux',
        devicePaths: ['\\EFI\\a.efi'],
        optionalData: utf8('quiet'),
      },
    },
  ],
  [
    EV.EFI_BOOT_SERVICES_APPLICATION,
    imageLoad(concatBytes(pathNode(2, 1, fromHex('d041030a00000000')), pathNode(1, 1, Uint8Array.of(2, 3)), END_NODE)),
    { kind: 'image-load', address: 0x1000n, devicePath: 'PciRoot(0x0)/Pci(0x3,0x2)' },
  ],
  [EV.EFI_BOOT_SERVICES_DRIVER, imageLoad(new Uint8Array(0)), { kind: 'image-load', devicePath: '' }],
  [EV.EFI_RUNTIME_SERVICES_DRIVER, imageLoad(END_NODE), { kind: 'image-load', devicePath: '' }],
  [
    EV.EFI_GPT_EVENT,
    partitionTable(GUID),
    { kind: 'partition-table', diskGuid: GUID_TEXT, partitions: [{ name: 'EFI system partition', lastBlock: 99n }] },
  ],
  [EV.EFI_GPT_EVENT2, partitionTable(GUID), { kind: 'partition-table' }],
  [EV.EFI_ACTION, utf8('Exit Boot Services Invocation'), { kind: 'text' }],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB, blob, { kind: 'firmware-blob', description: '' }],
  [EV.EFI_PLATFORM_FIRMWARE_BLOB2, concatBytes(sized('Fv'), blob), { kind: 'firmware-blob', description: 'Fv' }],
  [EV.EFI_HANDOFF_TABLES, handoff, { kind: 'handoff-tables', tables: [{ guid: GUID_TEXT, address: 0x7000n }] }],
  [EV.EFI_HANDOFF_TABLES2, concatBytes(sized('Acpi'), handoff), { kind: 'handoff-tables', description: 'Acpi' }],
  [EV.EFI_HCRTM_EVENT, utf8('HCRTM'), { kind: 'text' }],
  [
    EV.EFI_VARIABLE_AUTHORITY,
    uefiVariable('db', concatBytes(GUID, utf8('certificate')), SECURITY_DATABASE),
    { content: { kind: 'authority', signature: { owner: GUID_TEXT, data: utf8('certificate') } } },
  ],
  [
    EV.EFI_VARIABLE_AUTHORITY,
    uefiVariable('SbatLevel', utf8('sbat,1,2022\n'), SHIM_LOCK),
    { content: { kind: 'text', text: 'sbat,1,2022\n' } },
  ],
  [
    EV.EFI_VARIABLE_AUTHORITY,
    concatBytes(uefiVariable('Shim', fromHex('308203823082'), SHIM_LOCK), new Uint8Array(6)),
    { content: { kind: 'authority', signature: undefined } },
  ],
  [
    EV.EFI_SPDM_FIRMWARE_BLOB,
    spdm2(concatBytes(fromHex('1200010001000000'), measurementBlock), 0),
    { kind: 'spdm', version: 2, authState: 'success', deviceType: 'pci', measurements: [{ index: 1 }] },
  ],
  [
    EV.EFI_SPDM_FIRMWARE_CONFIG,
    spdm2(concatBytes(fromHex('1200000001000000'), utf8('chain')), 1),
    { kind: 'spdm', certificateChain: utf8('chain') },
  ],
  [
    EV.EFI_SPDM_FIRMWARE_BLOB,
    concatBytes(utf8('SPDM Device Sec\0'), fromHex('010000000100000001000000'), measurementBlock, new Uint8Array(8)),
    { kind: 'spdm', version: 1, measurements: [{ measurement: Uint8Array.of(9, 9, 9) }] },
  ],
  [
    EV.EFI_SPDM_DEVICE_POLICY,
    uefiVariable('devdb', new Uint8Array(0), SECURITY_DATABASE),
    { content: { kind: 'bytes' } },
  ],
  [
    EV.EFI_SPDM_DEVICE_AUTHORITY,
    uefiVariable('devdb', concatBytes(GUID, utf8('certificate')), SECURITY_DATABASE),
    { content: { kind: 'authority' } },
  ],
];

describe('parseEventData()', () => {
  test.each(SAMPLES.map(([type, data, expected]) => [eventTypeName(type), type, data, expected] as const))(
    '%s has a grammar of its own',
    (_, type, data, expected) => {
      expect(parse(type, data, true)).toMatchObject(expected);
    },
  );

  test('every type of the specification has one, but those that it reserves', () => {
    const without = Object.values(EV).filter((type) => parse(type, Uint8Array.of(1)).kind === 'unknown');
    expect(without).toEqual([EV.PREBOOT_CERT, EV.UNUSED, EV.EFI_EVENT_BASE]);
    expect(new Set(SAMPLES.map(([type]) => type)).size + without.length).toBe(Object.keys(EV).length);
  });

  test('checklist 7: a type that is not known is unknown, and refused where it is to be strict', () => {
    expect(parse(0x8000_00ff, utf8('looks fine'))).toEqual({ kind: 'unknown' });
    expect(() => parse(0x8000_00ff, utf8('looks fine'), true)).toThrow('eventType 0x800000ff, expected one that is');
  });

  test.each<[string, number, Uint8Array, string]>([
    [
      'a SecureBoot without a value',
      EV.EFI_VARIABLE_DRIVER_CONFIG,
      uefiVariable('SecureBoot', new Uint8Array(0)),
      'SecureBoot has 0 bytes',
    ],
    [
      'a SecureBoot of 2',
      EV.EFI_VARIABLE_DRIVER_CONFIG,
      uefiVariable('SecureBoot', Uint8Array.of(2)),
      'SecureBoot has',
    ],
    [
      'a byte behind a variable',
      EV.EFI_VARIABLE_BOOT,
      concatBytes(uefiVariable('x', new Uint8Array(0)), Uint8Array.of(0)),
      'UEFI_VARIABLE_DATA has 1 bytes',
    ],
    [
      'a boot order of half an option',
      EV.EFI_VARIABLE_BOOT,
      uefiVariable('BootOrder', Uint8Array.of(1)),
      'option needs 2 bytes',
    ],
    [
      'a load option without an end',
      EV.EFI_VARIABLE_BOOT,
      uefiVariable('Boot0000', utf16('endless')),
      'description needs 2 bytes',
    ],
    [
      'a signature list of no size',
      EV.EFI_VARIABLE_DRIVER_CONFIG,
      uefiVariable('PK', concatBytes(fromHex(CERT_X509), new Uint8Array(12))),
      'signatureListSize 0',
    ],
    [
      'signatures of no size',
      EV.EFI_VARIABLE_DRIVER_CONFIG,
      uefiVariable('PK', new Writer().bytes(fromHex(CERT_X509)).u32le(28).u32le(0).u32le(0).finish()),
      'signatureSize 0',
    ],
    [
      'an authority without an owner',
      EV.EFI_VARIABLE_AUTHORITY,
      uefiVariable('db', utf8('short'), SECURITY_DATABASE),
      'signatureOwner needs 16',
    ],
    ['a separator of three bytes', EV.SEPARATOR, new Uint8Array(3), 'separator has 3 bytes, expected 4'],
    ['an action that is no text', EV.EFI_ACTION, Uint8Array.of(0x1b, 0x5b), 'text is not printable ASCII'],
    ['an S-CRTM version of nothing', EV.S_CRTM_VERSION, new Uint8Array(0), 'S-CRTM version is empty'],
    ['a locality 2', EV.NO_ACTION, utf8('StartupLocality\0\u0002'), 'startupLocality 2, expected 0, 3 or 4'],
    ['a partition table that is none', EV.EFI_GPT_EVENT, new Uint8Array(100), 'signature 0000000000000000, expected'],
    [
      'a partition table with tiny entries',
      EV.EFI_GPT_EVENT,
      partitionTable(GUID, 16),
      'sizeOfPartitionEntry 16, expected 128',
    ],
    [
      '2^61 tables',
      EV.EFI_HANDOFF_TABLES,
      new Writer().u64le(1n << 61n).finish(),
      'numberOfTables 2305843009213693952',
    ],
    [
      'a device path node of 3 bytes',
      EV.EFI_BOOT_SERVICES_DRIVER,
      imageLoad(Uint8Array.of(1, 1, 3, 0)),
      'length 3, expected 4',
    ],
    ['a device path without an end', EV.EFI_BOOT_SERVICES_DRIVER, imageLoad(fileNode('\\a')), 'type needs 1 bytes'],
    [
      'a device path of endless nodes',
      EV.EFI_BOOT_SERVICES_DRIVER,
      imageLoad(concatBytes(...Array.from({ length: 300 }, () => pathNode(1, 5, new Uint8Array(4))), END_NODE)),
      'device path has 256 nodes',
    ],
    ['a tag cut short', EV.EVENT_TAG, Uint8Array.of(1, 0, 0, 0, 9, 0, 0, 0), 'taggedEventData needs 9 bytes'],
    ['tags nested too deep', EV.EVENT_TAG, nestedTags(8), 'tags nest deeper than 6'],
    ['an SPDM event of another signature', EV.EFI_SPDM_FIRMWARE_BLOB, new Uint8Array(64), 'signature'],
    [
      'an SPDM event of another length',
      EV.EFI_SPDM_FIRMWARE_BLOB,
      concatBytes(spdm2(new Uint8Array(8), 1), Uint8Array.of(1)),
      'length',
    ],
  ])('%s is malformed, and refused where it is to be strict', (_, type, data, reason) => {
    const parsed = parse(type, data);
    expect(parsed).toMatchObject({ kind: 'malformed' });
    expect(parsed.kind === 'malformed' ? parsed.reason : '').toContain(reason);
    expect(() => parse(type, data, true)).toThrow(ParseError);
    expect(() => parse(type, data, true)).toThrow(reason);
  });

  test('a name behind a byte order mark is another name', () => {
    const data = uefiVariable('\ufeffSecureBoot', Uint8Array.of(1));
    expect(parse(EV.EFI_VARIABLE_DRIVER_CONFIG, data)).toMatchObject({ content: { kind: 'bytes' } });
  });

  test('text that would move the cursor of a terminal is not shown', () => {
    const path = imageLoad(concatBytes(fileNode('\\a\u001b[2J\u202eexe'), END_NODE));
    expect(parse(EV.EFI_BOOT_SERVICES_DRIVER, path)).toMatchObject({ devicePath: '\\a\ufffd[2J\ufffdexe' });
    expect(parse(EV.IPL, utf8('grub_cmd: \u001b[2J\0'))).toEqual({ kind: 'bytes' });
  });

  test('every truncation of every sample is read or malformed, and nothing else is thrown', () => {
    for (const [type, data] of SAMPLES) {
      for (let length = 0; length < data.length; length += 1) {
        expect(parse(type, data.subarray(0, length)).kind).toBeDefined();
        expect(attempt(() => parse(type, data.subarray(0, length), true))).toBeDefined();
      }
    }
  });

  test('arbitrary bytes of every type are read or malformed, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(EV)), fc.uint8Array({ maxLength: 120 }), (type, bytes) => {
        expect(attempt(() => parse(type, bytes, true))).toBeDefined();
      }),
      { numRuns: 1000 },
    );
  });
});
