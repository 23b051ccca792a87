// The tool makes the entry that is committed for the firmware of this host, from two real boots.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIRMWARE_CODE, FIRMWARE_VARS, readFirmware } from '@ringwall/host/guestimage';
import { describe, expect, it } from 'vitest';
import { makeEntry, renderEntry, renderList } from './firmware-manifest.ts';

const DIRECTORY = join(import.meta.dirname, '../host/guestimage/firmware');
const KERNEL = join(process.env['RINGWALL_STATE'] ?? '/var/lib/ringwall', 'images/hello/kernel');
const LACKING = [FIRMWARE_CODE, '/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm', KERNEL].filter(
  (path) => !existsSync(path),
);
const SKIPPED = LACKING.length > 0 ? ` (skipped: needs ${LACKING.join(', ')})` : '';
const ENTRIES = readdirSync(DIRECTORY).filter((name) => name.endsWith('.json'));

describe('firmware-manifest', () => {
  it('has listed all entries', () => {
    expect(readFileSync(join(DIRECTORY, 'known.ts'), 'utf8')).toBe(renderList(ENTRIES.toSorted()));
  });

  it.skipIf(LACKING.length > 0)(`prints what it measures in a machine of so many processors${SKIPPED}`, async () => {
    const tool = join(import.meta.dirname, 'firmware-manifest.ts');
    const argv = ['--conditions=ringwall-source', tool, FIRMWARE_CODE, '--manifest', '--cpus', '3'];
    const printed = execFileSync(process.execPath, argv, { encoding: 'utf8' });
    expect(JSON.parse(printed)).toEqual(await readFirmware({ cpus: 3 }));
  });

  it.skipIf(LACKING.length > 0)(`makes the entry of this host’s firmware again${SKIPPED}`, async () => {
    const { name, digest } = await readFirmware({ cpus: 1 });
    const entry = await makeEntry({ code: FIRMWARE_CODE, vars: FIRMWARE_VARS, kernel: KERNEL }, name, () => {});
    const committed = ENTRIES.map((file) => readFileSync(join(DIRECTORY, file), 'utf8')).find((text) =>
      text.includes(digest),
    );
    expect(renderEntry(entry)).toBe(committed);
  });
});
