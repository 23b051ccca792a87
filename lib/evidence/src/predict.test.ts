import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '@ringwall/bytes';
import { parseEventLog } from '@ringwall/tpm';
import { describe, expect, it } from 'vitest';
import { EvidenceError } from './errors.ts';
import { parseFirmwareManifest } from './firmware.ts';
import { commandLineEvent, predictFromDigests } from './predict.ts';

const FIXTURE = join(import.meta.dirname, '../fixtures/ovmf-direct-boot');
const boot = JSON.parse(readFileSync(join(FIXTURE, 'boot.json'), 'utf8'));
const log = parseEventLog(readFileSync(join(FIXTURE, 'eventlog.bin')));

async function predicted(changes: Record<string, unknown> = {}) {
  return predictFromDigests({
    firmware: boot.firmware,
    commandLine: boot.commandLine,
    kernelDigest: fromHex(boot.kernelDigest),
    initrdDigest: fromHex(boot.initrdDigest),
    image: { name: 'hello', digest: boot.initrdDigest },
    ...changes,
  });
}

describe('predictFromDigests()', () => {
  it('says what a real boot measured, event by event and in its order', async () => {
    const reference = await predicted();
    const measured = log.events
      .filter((event) => event.typeName !== 'EV_NO_ACTION')
      .map((event) => ({
        pcr: event.pcr,
        type: event.typeName,
        digest: toHex(event.digests.get('sha256') ?? new Uint8Array()),
      }));
    expect(reference.events.map(({ pcr, type, digest }) => ({ pcr, type, digest }))).toEqual(measured);
    expect(measured).toHaveLength(24);
  });

  it('names the firmware and the image', async () => {
    const reference = await predicted();
    expect(reference.firmware).toEqual({ name: 'OVMF 2022.11-6+deb12u2', digest: boot.firmware.digest });
    expect(reference.image).toEqual({ name: 'hello', digest: boot.initrdDigest });
  });

  it('changes one event where one part of the boot set changes', async () => {
    const before = await predicted();
    const changed = async (changes: Record<string, unknown>) => {
      const after = await predicted(changes);
      return after.events
        .filter((event, index) => event.digest !== before.events[index]?.digest)
        .map(({ what }) => what);
    };
    expect(await changed({ kernelDigest: new Uint8Array(32) })).toEqual(['kernel']);
    expect(await changed({ initrdDigest: new Uint8Array(32) })).toEqual(['initrd']);
    expect(await changed({ commandLine: `${boot.commandLine} init=/bin/sh` })).toEqual(['command line']);
  });

  it.each([
    ['an empty command line', { commandLine: '' }],
    ['a command line with a line feed', { commandLine: 'quiet\ninit=/bin/sh' }],
    ['a command line beyond the kernel’s limit', { commandLine: 'x'.repeat(2048) }],
    ['vga=, which QEMU writes into the kernel', { commandLine: 'quiet vga=ask' }],
    ['a firmware that measures nothing', { firmware: { ...boot.firmware, volumes: [] } }],
    ['a firmware manifest with an unknown key', { firmware: { ...boot.firmware, trusted: true } }],
    ['no firmware manifest', { firmware: undefined }],
  ])('refuses %s', async (_name, changes) => {
    await expect(predicted(changes)).rejects.toThrow(EvidenceError);
  });
});

describe('commandLineEvent()', () => {
  it('hashes UTF-16LE with the initrd argument and a NUL', async () => {
    const loadOptions = Buffer.from('quiet initrd=initrd\0', 'utf16le');
    expect(await commandLineEvent('quiet')).toEqual({
      pcr: 9,
      type: 'EV_EVENT_TAG',
      digest: createHash('sha256').update(loadOptions).digest('hex'),
      what: 'command line',
    });
  });
});

describe('parseFirmwareManifest()', () => {
  it('takes the manifest of Debian’s OVMF', () => {
    expect(parseFirmwareManifest(boot.firmware)).toEqual(boot.firmware);
  });

  it.each(Object.keys(boot.firmware))('refuses a manifest without %s', (key) => {
    const { [key]: _gone, ...rest } = boot.firmware;
    expect(() => parseFirmwareManifest(rest)).toThrow(EvidenceError);
  });
});
