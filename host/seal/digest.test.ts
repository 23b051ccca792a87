import { describe, expect, it } from 'vitest';
import { createRequire } from 'node:module';
import { toHex } from '@ringwall/bytes';
import { Blake3 } from '@ringwall/seal/engine';
import { loadNative, makeDigester } from './digest.ts';

const MOST = 70_000;
const BYTES: Uint8Array = Uint8Array.from({ length: MOST }, (_, index) => index % 251);

describe('digests of sealed records', () => {
  it('are the same by either implementation, whatever their length', () => {
    const [digester, other] = [makeDigester(MOST, 0), new Blake3(MOST)];
    for (const length of [0, 1, 64, 65, 1023, 1024, 1025, 4096, 16_385, 65_536, MOST]) {
      const bytes = BYTES.subarray(0, length);
      expect(toHex(digester.digest(bytes)), String(length)).toBe(toHex(other.digest(bytes)));
    }
  });

  it('are made where they lie in memory, too', () => {
    const digester = makeDigester(MOST, MOST);
    digester.memory.set(BYTES);
    expect(toHex(digester.digest(digester.memory.subarray(7, 5000)))).toBe(
      toHex(new Blake3(MOST).digest(BYTES.subarray(7, 5000))),
    );
  });
});

describe('the native implementation', () => {
  it('is taken where it is installed', (context) => {
    const require = createRequire(import.meta.url);
    if (!isInstalled(require)) context.skip('needs @napi-rs/blake-hash-linux-x64-gnu');
    expect(loadNative(require)).toBeTypeOf('function');
  });

  it('is left where it is not there', () => {
    const require = (): never => {
      throw new Error('not there');
    };
    expect(loadNative(require)).toBeUndefined();
  });

  it('is left where it is something else', () => {
    expect(loadNative(() => ({ blake3: () => new Uint8Array(32) }))).toBeUndefined();
    expect(loadNative(() => ({ blake3: 'text' }))).toBeUndefined();
    expect(loadNative(() => undefined)).toBeUndefined();
  });
});

function isInstalled(require: NodeJS.Require): boolean {
  try {
    return require.resolve('@napi-rs/blake-hash-linux-x64-gnu') !== '';
  } catch {
    return false;
  }
}
