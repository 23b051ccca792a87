import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { parsedLog } from '../../testing/event-log.ts';
import { sha } from '../../testing/ima-list.ts';
import { SHIM_LOCK, uefiVariable } from '../../testing/uefi.ts';
import { EV } from '../event-types.ts';
import { dataIsMeasured, standingOfData, type DataStanding } from './measured-data.ts';

const other = sha('sha256', utf8('something else'));

async function standing(type: number, data: Uint8Array, digest?: Uint8Array): Promise<DataStanding> {
  const [, event] = parsedLog({ pcr: 1, type, data, ...(digest === undefined ? {} : { digest }) }).events;
  if (event === undefined) throw new Error('expected an event');
  return standingOfData(event, 'sha256');
}

describe('checklist 8: event data is used only where its hash is the digest', () => {
  const always = Object.entries(EV).filter(([, type]) => dataIsMeasured(type) === 'always');

  test.each(always)('EV_%s: data that does not hash to the digest was rewritten', async (_, type) => {
    expect(await standing(type, utf8('data'))).toBe('measured');
    expect(await standing(type, utf8('data'), other)).toBe('contradicted');
  });

  test('these are the types whose digest is always that of their data', () => {
    expect(always.map(([name]) => name)).toEqual([
      'SEPARATOR',
      'ACTION',
      'S_CRTM_VERSION',
      'OMIT_BOOT_DEVICE_EVENTS',
      'EFI_VARIABLE_DRIVER_CONFIG',
      'EFI_VARIABLE_BOOT',
      'EFI_GPT_EVENT',
      'EFI_ACTION',
      'EFI_VARIABLE_BOOT2',
      'EFI_VARIABLE_AUTHORITY',
      'EFI_SPDM_DEVICE_POLICY',
      'EFI_SPDM_DEVICE_AUTHORITY',
    ]);
  });

  test.each([
    ['EV_EFI_BOOT_SERVICES_APPLICATION', EV.EFI_BOOT_SERVICES_APPLICATION],
    ['EV_EFI_PLATFORM_FIRMWARE_BLOB', EV.EFI_PLATFORM_FIRMWARE_BLOB],
    ['EV_S_CRTM_CONTENTS', EV.S_CRTM_CONTENTS],
    ['EV_NO_ACTION', EV.NO_ACTION],
    ['a type that is not known', 0x8000_00ff],
  ])('of %s only the digest speaks, even where it happens to be that of the data', async (_, type) => {
    expect(await standing(type, utf8('data'))).toBe('informative');
    expect(await standing(type, utf8('data'), other)).toBe('informative');
  });

  test('a boot variable may be measured whole or by its content', async () => {
    const data = uefiVariable('BootOrder', Uint8Array.of(1, 0));
    expect(await standing(EV.EFI_VARIABLE_BOOT, data)).toBe('measured');
    expect(await standing(EV.EFI_VARIABLE_BOOT, data, sha('sha256', Uint8Array.of(1, 0)))).toBe('measured');
    expect(await standing(EV.EFI_VARIABLE_BOOT2, data, sha('sha256', Uint8Array.of(1, 0)))).toBe('contradicted');
  });

  test('an authority of an old shim is measured but for its last byte', async () => {
    const data = concatBytes(uefiVariable('Shim', utf8('certificate'), SHIM_LOCK), new Uint8Array(6));
    expect(await standing(EV.EFI_VARIABLE_AUTHORITY, data, sha('sha256', data.subarray(0, -1)))).toBe('measured');
    expect(await standing(EV.EFI_VARIABLE_AUTHORITY, data, sha('sha256', data.subarray(0, -2)))).toBe('contradicted');
  });

  test('a command of GRUB is measured without its prefix, a file is not', async () => {
    const command = utf8('grub_cmd: insmod ext2\0');
    expect(await standing(EV.IPL, command, sha('sha256', utf8('insmod ext2')))).toBe('measured');
    expect(await standing(EV.IPL, command, sha('sha256', utf8('insmod evil')))).toBe('informative');
    expect(await standing(EV.IPL, utf8('/vmlinuz\0'), other)).toBe('informative');
  });

  test('the data of a tag may be what was measured', async () => {
    const tag = new Writer().u32le(1).sized32le((sized) => sized.bytes(utf8('profile')));
    expect(await standing(EV.EVENT_TAG, tag.finish(), sha('sha256', utf8('profile')))).toBe('measured');
    expect(await standing(EV.EVENT_TAG, tag.finish(), other)).toBe('informative');
  });

  test('a bank that the event lacks says nothing', async () => {
    const [, event] = parsedLog({ pcr: 1, type: EV.ACTION, data: utf8('x') }).events;
    expect(event && (await standingOfData(event, 'sha384'))).toBe('informative');
  });
});
