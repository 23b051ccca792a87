import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askPassphrase } from './ask.ts';

class FakeKeyboard extends PassThrough {
  readonly modes: boolean[] = [];
  setRawMode(raw: boolean): void {
    this.modes.push(raw);
  }
}

async function typing(
  ...keys: readonly string[]
): Promise<{ typed: string | undefined; shown: string; modes: boolean[] }> {
  const keyboard = new FakeKeyboard();
  let shown = '';
  const asked = askPassphrase('Passphrase', keyboard, { write: (text) => (shown += text) });
  for (const key of keys) keyboard.write(key);
  const typed = await asked;
  return { typed: typed && Buffer.from(typed).toString(), shown, modes: keyboard.modes };
}

describe('askPassphrase()', () => {
  it('takes what is typed up to Enter, shows nothing of it, and gives the terminal back', async () => {
    expect(await typing('cor', 'rect\r')).toEqual({ typed: 'correct', shown: 'Passphrase: \n', modes: [true, false] });
  });

  it.each([
    ['a letter that is erased', ['ab\u007fc\r'], 'ac'],
    ['a letter of several bytes that is erased', ['aß€\u007f\b\r'], 'a'],
    ['more erased than there is', ['\u007f\u007fa\r'], 'a'],
    ['a line that is begun anew', ['wrong\u0015right\n'], 'right'],
    ['nothing', ['\r'], ''],
    ['Ctrl-C', ['abc\u0003'], undefined],
    ['Ctrl-D before anything', ['\u0004'], undefined],
  ])('understands %s', async (_, keys, wanted) => {
    expect((await typing(...keys)).typed).toBe(wanted);
  });
});
