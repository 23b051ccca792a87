// Response codes against what tpm2-tools say of them.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { decodeResponseCode } from './response-codes.ts';

const DECODER = '/usr/bin/tpm2_rc_decode';
const lacks = existsSync(DECODER) ? '' : ` (skipped: needs ${DECODER})`;

describe.skipIf(lacks !== '')(`decodeResponseCode() beside tpm2_rc_decode${lacks}`, () => {
  // They count parameters up to 7, Part 2 section 6.6.2 up to 15.
  test('parameters, handles and sessions of a code are the same', async () => {
    const numbers = [1, 2, 3, 4, 5, 6, 7];
    const codes = [0x0c4, 0x084, 0x88e].flatMap((base) => numbers.map((number) => base + (number << 8)));
    const ours = codes.map((code) => {
      const { at } = decodeResponseCode(code);
      return `${at?.part}(${at?.number})`;
    });
    expect(ours).toEqual(
      (await Promise.all(codes.map((code) => theirs(code)))).map(
        (text) => /(parameter|handle|session)\(\d+\)/.exec(text)?.[0],
      ),
    );
  });

  test('a code that they know has a name here, and one that they do not has none', async () => {
    const range = (first: number, length: number): number[] => Array.from({ length }, (_, index) => first + index);
    const codes = [...range(0x180, 0x28), ...range(0x100, 0x56), ...range(0x901, 0x23)];
    const differing: string[] = [];
    for (let at = 0; at < codes.length; at += 8) {
      await Promise.all(
        codes.slice(at, at + 8).map(async (code) => {
          const text = await theirs(code);
          const known = !/0x[0-9A-F]+$|\(null\)$/.test(text);
          if (known !== decodeResponseCode(code).name.startsWith('TPM_RC_')) differing.push(text);
        }),
      );
    }
    expect(differing).toEqual([]);
  });
});

async function theirs(code: number): Promise<string> {
  const { stdout } = await promisify(execFile)(DECODER, [`0x${code.toString(16)}`], { env: {} });
  return stdout.trim();
}
