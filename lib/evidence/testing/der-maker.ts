// DER for tests, written from scratch so that it can be wrong where a test wants it to be.
import { concatBytes } from '@ringwall/bytes';

export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...length), content);
}

/** An INTEGER that is not negative. */
export function derInteger(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const [first = 0] = bytes;
  return der(0x02, Uint8Array.of(...(first >= 0x80 || bytes.length === 0 ? [0] : []), ...bytes));
}

/** An OBJECT IDENTIFIER by its dotted form. */
export function derOid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left % 128) | 0x80);
    bytes.push(...digits);
  }
  return der(0x06, Uint8Array.from(bytes));
}
