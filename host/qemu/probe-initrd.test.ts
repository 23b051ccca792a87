import { describe, expect, test } from 'vitest';
import { probeInitrd, probeProgram } from './probe-initrd.ts';

describe('the probe guest', () => {
  test('its program is a small static ELF whose entry is its code', () => {
    const program = probeProgram();
    const view = new DataView(program.buffer);
    expect(program.length).toBeLessThan(256);
    expect([...program.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    const entry = Number(view.getBigUint64(24, true)) - 0x400000;
    expect(program[entry]).toBe(0xb8);
    // lea rsi, [rip + displacement]: the message lies behind the code.
    const lea = entry + 10;
    expect([...program.subarray(lea, lea + 3)]).toEqual([0x48, 0x8d, 0x35]);
    const message = lea + 7 + view.getInt32(lea + 3, true);
    expect(new TextDecoder().decode(program.subarray(message))).toBe('\nringwall probe\n');
  });

  test('its archive has newc headers on multiples of four, and an end', () => {
    const text = new TextDecoder('latin1').decode(probeInitrd());
    const headers = [...text.matchAll(/070701/g)].map(({ index }) => index);
    expect(headers).toHaveLength(2);
    expect(headers.every((at) => at % 4 === 0)).toBe(true);
    expect(text).toContain('TRAILER!!!\0');
  });
});
