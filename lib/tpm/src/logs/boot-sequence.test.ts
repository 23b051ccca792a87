import { utf8 } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { parsedLog, type TestEvent } from '../../testing/event-log.ts';
import { sha } from '../../testing/ima-list.ts';
import { imageLoad, uefiVariable } from '../../testing/uefi.ts';
import { NEEDS_VECTORS, readFixture, readVector, VECTORS_PRESENT } from '../../testing/vectors.ts';
import { parseEventLog, replayEventLog } from '../event-log.ts';
import { EV } from '../event-types.ts';
import { checkBootSequence, comparePcrs } from './boot-sequence.ts';

const separators: readonly TestEvent[] = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => separator(pcr));
const config: TestEvent = {
  pcr: 7,
  type: EV.EFI_VARIABLE_DRIVER_CONFIG,
  data: uefiVariable('SecureBoot', Uint8Array.of(1)),
};
const application: TestEvent = {
  pcr: 4,
  type: EV.EFI_BOOT_SERVICES_APPLICATION,
  data: imageLoad(new Uint8Array(0)),
  digest: sha('sha256', utf8('application')),
};
const exited: TestEvent = { pcr: 5, type: EV.EFI_ACTION, data: utf8('Exit Boot Services Returned with Success') };
const boot: readonly TestEvent[] = [config, ...separators, application, exited];

function separator(pcr: number, data: Uint8Array = new Uint8Array(4)): TestEvent {
  return { pcr, type: EV.SEPARATOR, data };
}

async function faults(events: readonly TestEvent[]): Promise<readonly string[]> {
  const { faults: found } = await checkBootSequence(parsedLog(...events), 'sha256');
  return found.map(({ code, pcr }) => `${code} ${pcr}`);
}

test('a boot in order has no fault, and the operating system took over', async () => {
  expect(await checkBootSequence(parsedLog(...boot), 'sha256')).toEqual({ faults: [], exited: true });
});

test('the boot of a real OVMF has no fault', async () => {
  const log = parseEventLog(readFixture('ovmf-direct-boot.bin'));
  expect(await checkBootSequence(log, 'sha256')).toEqual({ faults: [], exited: true });
});

describe('checklist 7: event type is never authenticated', () => {
  test('an unknown type is refused', async () => {
    expect(await faults([{ pcr: 4, type: 0x8000_00ff, data: utf8('x') }, ...boot])).toEqual(['unknown-type 4']);
    expect(await faults([{ pcr: 4, type: EV.UNUSED }, ...boot])).toEqual(['unknown-type 4']);
  });

  test.each<[number, TestEvent]>([
    [0, { ...config, pcr: 0 }],
    [1, { ...application, pcr: 1 }],
    [3, { ...application, pcr: 3 }],
    [5, { ...application, pcr: 5 }],
    [7, { ...application, pcr: 7 }],
    [8, { ...application, pcr: 8 }],
  ])('grammar per PCR: PCR %i refuses a type that is not its own', async (pcr, event) => {
    expect(await faults([event, ...boot])).toEqual([`type-of-another-pcr ${pcr}`]);
  });

  test.each(separators)('one separator: PCR $pcr needs one', async ({ pcr }) => {
    expect(await faults(boot.filter((event) => event.type !== EV.SEPARATOR || event.pcr !== pcr))).toEqual([
      `separator-missing ${pcr}`,
    ]);
  });

  test('one separator: a second one is refused', async () => {
    expect(await faults([...boot.slice(0, -1), separator(7), exited])).toEqual(['separator-twice 7']);
  });

  test('a separator that did not measure one is refused', async () => {
    const forged = { ...separator(7), digest: sha('sha256', utf8('configuration')) };
    expect(await faults([config, ...separators.slice(0, 7), forged, exited])).toEqual([
      'separator-forged 7',
      'contradicted 7',
    ]);
  });

  test('a separator that the log calls something else is refused', async () => {
    const renamed = { pcr: 4, type: EV.EFI_ACTION, data: new Uint8Array(4) };
    expect(await faults([config, renamed, ...separators, exited])).toEqual(['separator-ambiguous 4', 'malformed 4']);
  });

  test('a separator that says that firmware failed is refused', async () => {
    expect(await faults([...separators.slice(1), separator(0, Uint8Array.of(1, 0, 0, 0))])).toEqual([
      'firmware-error 0',
    ]);
  });

  test.each<[string, TestEvent]>([
    ['a Secure Boot variable', config],
    ['a policy for devices', { ...config, type: EV.EFI_SPDM_DEVICE_POLICY }],
    ['a flag', { pcr: 1, type: EV.PLATFORM_CONFIG_FLAGS, data: utf8('x') }],
    ['a firmware volume', { pcr: 0, type: EV.EFI_PLATFORM_FIRMWARE_BLOB, data: new Uint8Array(16) }],
  ])('nothing configures behind the separator: %s is refused', async (_, event) => {
    expect(await faults([...boot.slice(0, -1), event, exited])).toEqual([`after-separator ${event.pcr}`]);
  });

  test('data that was rewritten, or is not of its form, is refused', async () => {
    const rewritten = { ...config, digest: sha('sha256', utf8('SecureBoot was off')) };
    expect(await faults([rewritten, ...boot.slice(1)])).toEqual(['contradicted 7']);
    const malformed = { ...config, data: uefiVariable('SecureBoot', new Uint8Array(0)) };
    expect(await faults([malformed, ...boot.slice(1)])).toEqual(['malformed 7']);
  });
});

describe('checklist 10: extends after ExitBootServices cannot pose as boot events', () => {
  test.each([0, 4, 7, 8, 15])('an event of PCR %i behind it is refused', async (pcr) => {
    const event = { pcr, type: EV.EVENT_TAG, data: utf8('tag') };
    expect((await faults([...boot, event])).filter((code) => code.startsWith('after-exit'))).toEqual([
      `after-exit ${pcr}`,
    ]);
  });

  test('it is known by its digest: other words in the log do not hide it', async () => {
    const renamed = {
      ...exited,
      type: EV.EVENT_TAG,
      digest: sha('sha256', exited.data ?? new Uint8Array(0)),
      data: utf8('?'),
    };
    expect(await faults([...boot.slice(0, -1), renamed, application])).toEqual(['after-exit 4']);
  });

  test('words without the digest are not it', async () => {
    const forged = { ...exited, digest: sha('sha256', utf8('something else')) };
    const { exited: seen } = await checkBootSequence(parsedLog(...boot.slice(0, -1), forged), 'sha256');
    expect(seen).toBe(false);
  });

  test('a log without it says so: what ran may have measured what it liked', async () => {
    expect((await checkBootSequence(parsedLog(...boot.slice(0, -1)), 'sha256')).exited).toBe(false);
  });
});

describe('checklist 10: a non-zero quoted PCR with no events is refused', () => {
  const log = parsedLog(...boot);

  test('a PCR that the log does not speak of is unlogged where it is not what a TPM starts it with', async () => {
    const quoted = await replayEventLog(log, 'sha256');
    const all = await comparePcrs(log, 'sha256', quoted);
    expect(new Set(all.values())).toEqual(new Set(['replayed']));
    quoted.set(9, sha('sha256', utf8('extended by somebody')));
    quoted.set(4, new Uint8Array(32));
    quoted.set(17, new Uint8Array(32));
    quoted.set(24, new Uint8Array(32));
    const standings = await comparePcrs(log, 'sha256', quoted);
    expect([9, 4, 17, 24, 7].map((pcr) => standings.get(pcr))).toEqual([
      'unlogged',
      'differs',
      'unlogged',
      'unknown',
      'replayed',
    ]);
  });
});

describe.skipIf(!VECTORS_PRESENT)(`logs of real machines${NEEDS_VECTORS}`, () => {
  const good = ['cos-101-amd-sev', 'debian-10', 'rhel8-uefi', 'ubuntu-1804-amd-sev', 'ubuntu-2404-amd-sevsnp'];
  test.each(good)('%s has no fault', async (name) => {
    const log = parseEventLog(readVector(`eventlog/go-tpm-tools/${name}.bin`));
    expect((await checkBootSequence(log, 'sha1')).faults).toEqual([]);
  });

  test('glinux-alex measured a part of its S-CRTM that looks like a separator', async () => {
    const log = parseEventLog(readVector('eventlog/go-tpm-tools/glinux-alex.bin'));
    const { faults: found, exited: seen } = await checkBootSequence(log, 'sha256');
    expect(found).toMatchObject([{ code: 'separator-ambiguous', pcr: 0, index: 4 }]);
    expect(seen).toBe(false);
  });
});
