import { type CreateMachine, RingwallError } from '@ringwall/api';
import { describe, expect, test } from 'vitest';
import { planMachine, type PlanFacts } from './plan.ts';

const FACTS: PlanFacts = {
  images: [
    { name: 'hello', built: true },
    { name: 'debian', built: false },
  ],
  capacity: { cpus: 4, memoryMiB: 2048, diskMiB: 10_000 },
  takenNames: new Set(['web']),
  disks: [
    { id: `dsk_${'a'.repeat(20)}`, name: 'cloud', status: { phase: 'ready' } },
    { id: `dsk_${'b'.repeat(20)}`, name: 'half', status: { phase: 'incomplete' } },
    { id: `dsk_${'c'.repeat(20)}`, name: 'taken', status: { phase: 'ready' }, machine: 'web' },
  ],
};

function refusal(request: CreateMachine): { code: string; message: string; hint: string | undefined } {
  try {
    planMachine(request, FACTS);
  } catch (error) {
    if (error instanceof RingwallError) return { code: error.code, message: error.message, hint: error.hint };
  }
  throw new Error('accepted');
}

describe('planMachine()', () => {
  test('attaches disks that were imported whole and are nobody’s, each once', () => {
    expect(planMachine({ image: 'hello', attach: ['cloud'] }, FACTS).spec.disks).toEqual([`dsk_${'a'.repeat(20)}`]);
    expect(refusal({ image: 'hello', attach: ['none'] }).code).toBe('not-found');
    expect(refusal({ image: 'hello', attach: ['half'] }).message).toContain('incomplete');
    expect(refusal({ image: 'hello', attach: ['taken'] }).message).toContain('the machine web has');
    expect(refusal({ image: 'hello', attach: ['cloud', `dsk_${'a'.repeat(20)}`] }).code).toBe('spec-invalid');
  });

  test('fills in what was not asked for', () => {
    expect(planMachine({ image: 'hello' }, FACTS)).toEqual({
      name: 'hello',
      spec: {
        image: 'hello',
        cpus: 1,
        memoryMiB: 512,
        diskMiB: 1024,
        isolation: 'vm',
        running: false,
        watch: 'enforce',
        encryption: 'guest',
      },
    });
  });

  test('an image of few programs is held to them, and whoever asks decides otherwise', () => {
    expect(planMachine({ image: 'debian' }, FACTS).spec.watch).toBe('report');
    expect(planMachine({ image: 'hello', watch: 'off' }, FACTS).spec.watch).toBe('off');
  });

  test.each([
    [{ image: 'hello', cpus: 5 }, 'host-full', 'cpus 5, this host has 4 to give'],
    [{ image: 'hello', memoryMiB: 4096 }, 'host-full', 'memory 4096 MiB, this host has 2048 MiB to give'],
    [{ image: 'hello', diskMiB: 10_001 }, 'host-full', 'disk 10001 MiB, this host has 10000 MiB to give'],
    [{ image: 'hello', cpus: 0 }, 'spec-invalid', 'cpus 0, expected a whole number of 1..64'],
    [{ image: 'hello', cpus: 1.5 }, 'spec-invalid', 'cpus 1.5, expected a whole number of 1..64'],
    [{ image: 'hello', cpus: 1e9 }, 'spec-invalid', 'cpus 1000000000, expected a whole number of 1..64'],
    [{ image: 'hello', memoryMiB: -1 }, 'spec-invalid', 'memory -1 MiB, expected a whole number of 192..1048576 MiB'],
    [
      { image: 'hello', memoryMiB: 1e300 },
      'spec-invalid',
      'memory 1e+300 MiB, expected a whole number of 192..1048576 MiB',
    ],
    [{ image: 'hello', diskMiB: 31 }, 'spec-invalid', 'disk 31 MiB, expected a whole number of 32..67108864 MiB'],
    [{ image: 'helo' }, 'image-unknown', 'there is no image helo'],
    [{ image: '../../etc' }, 'image-unknown', 'there is no image of this name'],
    [{ image: 'hello', name: 'web' }, 'name-taken', 'there is a machine named web already'],
    [{ image: 'hello', name: '--help' }, 'name-invalid', '"--help" could be read as an option'],
  ])('refuses %o as %s', (request, code, message) => {
    const seen = refusal(request);
    expect({ code: seen.code, message: seen.message }).toEqual({ code, message });
    expect(seen.hint).toBeDefined();
  });
});
