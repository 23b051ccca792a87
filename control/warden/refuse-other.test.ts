import type { VmSpec } from '@ringwall/api/warden';
import { expect, test } from 'vitest';
import { refuseOther } from './restore.ts';
import type { Platform, SnapshotAbout } from './snapshot-contents.ts';
import { SPEC } from './testing/scene.ts';

const HERE: Platform = { accelerator: 'kvm', qemu: '7.2', firmware: 'f1', image: 'i1', cpu: 'a processor' };
const ABOUT: SnapshotAbout = { version: 1, takenAt: '2026-11-21T12:00:00Z', spec: SPEC, platform: HERE };

test('refuseOther() lets a state go on where it was', () => {
  expect(() => refuseOther(SPEC, ABOUT, HERE)).not.toThrow();
});

test.each<[keyof Platform, Partial<Platform>, RegExp]>([
  ['accelerator', { accelerator: 'tcg' }, /with the accelerator kvm, here is tcg/],
  ['qemu', { qemu: '7.3' }, /with QEMU 7\.2, here is 7\.3/],
  ['firmware', { firmware: 'f2' }, /with the firmware f1, here is f2/],
  ['image', { image: 'i2' }, /with the image i1, here is i2/],
  ['cpu', { cpu: 'another, with fewer features' }, /with the processor a processor, here is another/],
])('refuseOther() refuses a host with another %s', (_, other, why) => {
  expect(() => refuseOther(SPEC, ABOUT, { ...HERE, ...other })).toThrow(
    expect.objectContaining({ code: 'conflict', message: expect.stringMatching(why) }),
  );
});

test.each<[keyof typeof SPEC, Partial<VmSpec>]>([
  ['image', { image: 'debian' }],
  ['cpus', { cpus: 2 }],
  ['memoryMiB', { memoryMiB: 256 }],
  ['diskMiB', { diskMiB: 64 }],
])('refuseOther() refuses a machine with another %s, and says both', (field, other) => {
  const [now, then] = [{ ...SPEC, ...other }[field], SPEC[field]];
  const why = `${field} ${String(then)}, the machine has ${String(now)}`;
  expect(() => refuseOther({ ...SPEC, ...other }, ABOUT, HERE)).toThrow(why);
});
