import { array, assert, constantFrom, integer, nat, oneof, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleFilter, plainLog } from './terminal-filter.ts';

function filtered(text: string, pieces: readonly number[] = []): string {
  const bytes = Buffer.from(text, 'latin1');
  const filter = new ConsoleFilter();
  const out: Uint8Array[] = [];
  let from = 0;
  for (const at of [...pieces, bytes.length]) {
    out.push(filter.filter(bytes.subarray(from, at)));
    from = at;
  }
  return Buffer.concat(out).toString('latin1');
}

const HOSTILE: readonly (readonly [what: string, text: string])[] = [
  ['retitles the window', '\u001b]0;owned\u0007'],
  ['fills the clipboard', '\u001b]52;c;ZXZpbA==\u001b\\'],
  ['asks for the cursor, to have it typed', '\u001b[6n'],
  ['asks who the terminal is', '\u001b[c'],
  ['asks who the terminal is, the old way', '\u001bZ'],
  ['asks for the window title', '\u001b[21t'],
  ['asks for a mode', '\u001b[?2026$p'],
  ['asks for a setting', '\u001bP$qm\u001b\\'],
  ['sends a private message', '\u001b^x\u001b\\'],
  ['sends an application command', '\u001b_Gx\u001b\\'],
  ['starts a string', '\u001bXx\u001b\\'],
  ['begins a sequence without end', `\u001b[${'1;'.repeat(200)}`],
];

describe('ConsoleFilter', () => {
  it.each(HOSTILE)('drops what %s', (_, text) => {
    expect(filtered(`a${text}`).startsWith('a')).toBe(true);
    expect(filtered(`a${text}`)).not.toContain('\u001b');
  });

  it.each(HOSTILE)('drops what %s, cut anywhere', (_, text) => {
    const whole = `a${text}b`;
    for (let at = 1; at < whole.length; at += 1) expect(filtered(whole, [at]), String(at)).toBe(filtered(whole));
  });

  it('lets through what an editor needs', () => {
    const screen =
      '\u001b[2J\u001b[1;1H\u001b[31mred\u001b[0m\u001b[?1049h\u001b[?25l\u001b(B\u001b7\u001b8\u001b=\u001bM\r\n\tø';
    expect(filtered(screen)).toBe(screen);
  });

  it('is not stuck: text after a string goes on, and a cancelled string ends', () => {
    expect(filtered('\u001b]0;x\u0007after')).toBe('after');
    expect(filtered('\u001b]0;x\u0018after')).toBe('after');
  });

  it('never lets a string introducer through, whatever comes and however it is cut', () => {
    const byte = oneof(
      constantFrom(0x1b, 0x5b, 0x5d, 0x50, 0x5c, 0x07, 0x63, 0x6e, 0x3b, 0x31),
      integer({ min: 0, max: 255 }),
    );
    assert(
      property(uint8Array({ maxLength: 80 }), array(byte, { maxLength: 80 }), nat(80), (noise, bytes, at) => {
        const text = Buffer.from([...noise, ...bytes]).toString('latin1');
        const out = filtered(text, [Math.min(at, text.length)]);
        // oxlint-disable-next-line no-control-regex -- escape sequences are what is looked for
        expect(out).not.toMatch(/\u001b[\]P_^XZ]|\u001b\[[0-?]*[ -/]*[nctpqx]/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('plainLog()', () => {
  it('is text only', () => {
    expect(plainLog(Buffer.from('\u001b[2J\u001b[01;01HBdsDxe\r\r\nok\u0007\u001b]0;t\u0007!\r50%\r100%\n'))).toBe(
      'BdsDxe\nok!\n50%\n100%\n',
    );
  });

  it('holds nothing that a terminal would obey', () => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
        expect(plainLog(bytes)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      }),
    );
  });
});
