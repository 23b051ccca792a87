// Asks whoever sits at the terminal: for a word before something that cannot be undone by another command, or for a
// passphrase, which the terminal does not show.
import { createInterface } from 'node:readline/promises';
import type { Readable } from 'node:stream';

/** On standard error: the output is for programs. Only where standard input is a terminal. */
export async function typesWord(word: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await reader.question(`Type ${word} to go on: `);
  reader.close();
  return answer.trim() === word;
}

/** What a passphrase is typed on. */
export interface Keyboard extends Readable {
  setRawMode?: (raw: boolean) => unknown;
}

/** A passphrase that is longer was not typed. */
const MAX_TYPED_BYTES = 512;
const KEY = {
  interrupt: 0x03,
  endOfInput: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  enter: 0x0d,
  eraseLine: 0x15,
  del: 0x7f,
};

/** The bytes that were typed; undefined where whoever sits there gave up. Only where `keyboard` is a terminal. */
export async function askPassphrase(
  question: string,
  keyboard: Keyboard = process.stdin,
  screen: { write: (text: string) => unknown } = process.stderr,
): Promise<Uint8Array | undefined> {
  const typed: number[] = [];
  screen.write(`${question}: `);
  keyboard.setRawMode?.(true);
  const restore = (): void => void keyboard.setRawMode?.(false);
  process.once('exit', restore);
  try {
    for await (const chunk of keyboard.iterator({ destroyOnReturn: false })) {
      for (const byte of Buffer.from(chunk)) {
        if (byte === KEY.enter || byte === KEY.lineFeed) return Uint8Array.from(typed);
        if (byte === KEY.interrupt || (byte === KEY.endOfInput && typed.length === 0)) return undefined;
        if (byte === KEY.backspace || byte === KEY.del) eraseCharacter(typed);
        else if (byte === KEY.eraseLine) typed.length = 0;
        else if (typed.length < MAX_TYPED_BYTES) typed.push(byte);
      }
    }
    return undefined;
  } finally {
    process.off('exit', restore);
    restore();
    keyboard.pause();
    screen.write('\n');
  }
}

/** All bytes of the last character, in UTF-8. */
function eraseCharacter(typed: number[]): void {
  for (let byte = typed.pop(); byte !== undefined && (byte & 0xc0) === 0x80;) byte = typed.pop();
}
