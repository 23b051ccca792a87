import { describe, expect, it } from 'vitest';
import { findLayout, layoutOf } from './layout.ts';
import { initializePei } from '@ringwall/host/guestimage';

const FILE = Uint8Array.from({ length: 64 }, (_, index) => (index % 3 === 0 ? 0 : index));
const LAYOUT = {
  constants: [
    { offset: 0, bytes: 'a1a2' },
    { offset: 40, bytes: '07' },
  ],
  cpus: [10, 30],
};
const inMemory = (cpus: number): { cpus: number; memory: Uint8Array } => ({
  cpus,
  memory: initializePei(FILE, layoutOf(LAYOUT), { cpus }),
});

describe('findLayout()', () => {
  it('tells what is constant from what follows the number of processors', () => {
    expect(findLayout(FILE, inMemory(2), inMemory(3))).toEqual(LAYOUT);
  });

  it('refuses a volume that follows something else', () => {
    const other = inMemory(3);
    other.memory[50] = 0xee;
    expect(() => findLayout(FILE, inMemory(2), other)).toThrow('byte 50 of PEIFV follows something else');
  });

  it('refuses a volume without the number of processors, and one of another length', () => {
    const same = { memory: FILE };
    expect(() => findLayout(FILE, { cpus: 2, ...same }, { cpus: 3, ...same })).toThrow('does not hold the number');
    expect(() => findLayout(FILE.subarray(1), inMemory(2), inMemory(3))).toThrow('another length');
  });
});
