// Every boot log of the vectors, event by event: its grammar, what of its data was measured, and what others print of it.

import { ParseError } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { attempt } from '../../testing/attempt.ts';
import { NEEDS_VECTORS, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { parseEventData, type EventData } from '../event-data.ts';
import { parseEventLog, type EventLog } from '../event-log.ts';
import { isComputable } from '../hash.ts';
import { standingOfData } from './measured-data.ts';

const GOOGLE = [
  'confidential-gke-debug-251000_eventlog',
  'cos-101-amd-sev',
  'cos-85-amd-sev',
  'cos-93-amd-sev',
  'debian-10',
  'glinux-alex',
  'rhel8-uefi',
  'ubuntu-1804-amd-sev',
  'ubuntu-2104-no-dbx',
  'ubuntu-2104-no-secure-boot',
  'ubuntu-2404-amd-sevsnp',
].map((name) => `go-tpm-tools/${name}.bin`);
const ATTESTATION = [
  'coreos_36_shielded_vm_no_secure_boot',
  'ebs_event_missing',
  'option_rom',
  'sb_cert',
  'short_no_action',
];
const TOOLS = ['bootorder', 'moklisttrusted', 'postcode'].map((name) => `tpm2-tools/event-${name}.bin`);
const GOOD = [...GOOGLE, ...ATTESTATION.map((name) => `go-attestation/${name}_eventlog`), ...TOOLS];
/** Firmware without Secure Boot measures the variable without a value. */
const WITHOUT_VALUE = [
  'go-tpm-tools/arch-linux-workstation.bin',
  'go-attestation/crypto_agile_eventlog',
  'tpm2-tools/event-sd-boot-fedora37.bin',
  'tpm2-tools/event-uefi-sha1-log.bin',
];

const read = (name: string): EventLog => parseEventLog(readVector(`eventlog/${name}`));
const dataOf = (log: EventLog, strict: boolean): readonly EventData[] =>
  log.events.map((event) => parseEventData(event, { strict }));

describe.skipIf(!VECTORS_PRESENT)(`logs of real machines${NEEDS_VECTORS}`, () => {
  test.each(GOOD)('%s: every event is of its type’s form, and no data contradicts its digest', async (name) => {
    const log = read(name);
    expect(dataOf(log, true)).toHaveLength(log.events.length);
    for (const bank of log.algorithms.map((algorithm) => algorithm.name).filter(isComputable)) {
      const standings = await Promise.all(log.events.map((event) => standingOfData(event, bank)));
      expect(standings).not.toContain('contradicted');
    }
  });

  test.each(WITHOUT_VALUE)('%s fails strict parsing for a SecureBoot without a value, and for nothing else', (name) => {
    const log = read(name);
    const error = attempt(() => dataOf(log, true));
    expect(error).toBeInstanceOf(ParseError);
    expect(error).toMatchObject({ message: 'SecureBoot has 0 bytes, expected one byte that is 0 or 1' });
    expect(dataOf(log, false).filter(({ kind }) => kind === 'malformed')).toHaveLength(1);
  });

  test.each(TOOLS)('%s: device paths are those that tpm2_eventlog prints', (name) => {
    const yaml = new TextDecoder().decode(readVector(`eventlog/${name}.yaml`));
    // Its text of a path is that of libefivar: other words for volumes and files, other numbers for USB.
    const printed = [...yaml.matchAll(/^ {4}DevicePath: '(.*)'$/gm)].map((match) => match[1] ?? '');
    const comparable = printed.map((path) => path.replaceAll(/File\(([^)]*)\)/g, '$1'));
    const ours = dataOf(read(name), true).flatMap((data) => (data.kind === 'image-load' ? [data.devicePath] : []));
    const plain = (paths: readonly string[]): readonly string[] => paths.filter((path) => !/USB|MAC/.test(path));
    expect(plain(ours)).toEqual(plain(comparable));
  });

  test('names the variables, partitions and images of a machine', () => {
    const data = dataOf(read('go-tpm-tools/rhel8-uefi.bin'), true);
    const kinds = new Set(data.map(({ kind }) => kind));
    expect([...kinds].toSorted()).toEqual(
      [
        'crtm-version',
        'image-load',
        'ipl',
        'partition-table',
        'separator',
        'spec-id',
        'text',
        'variable',
        'bytes',
      ].toSorted(),
    );
    const paths = data.flatMap((event) => (event.kind === 'image-load' ? [event.devicePath] : []));
    expect(paths.some((path) => path.endsWith('\\EFI\\redhat\\grubx64.efi'))).toBe(true);
  });
});
