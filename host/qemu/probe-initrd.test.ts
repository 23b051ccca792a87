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

  test('its archive holds that program as /init', () => {
    const archive = Buffer.from(probeInitrd());
    expect(archive.subarray(0, 6).toString()).toBe('070701');
    expect(archive.includes(Buffer.from('\0init\0').subarray(1))).toBe(true);
    expect(archive.includes(probeProgram())).toBe(true);
  });
});
