import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRootKey, Secret, unwrapKey, wrapKey, type KeyIdentity } from './index.ts';

const identity: KeyIdentity = { kind: 'disk-key', id: 'mch_aaaaaaaaaaaaaaaaaaaa', version: 1 };

describe('Secret', () => {
  test('prints as [secret] wherever it is printed', () => {
    using secret = Secret.take(new TextEncoder().encode('hunter2hunter2'));
    const printed = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      inspect([secret], { depth: 9, showHidden: true }),
    ];
    for (const text of printed) {
      expect(text).toContain('[secret]');
      expect(text).not.toContain('hunter2');
      expect(text).not.toContain('104, 117');
    }
  });

  test('takes the bytes over, and wipes them on dispose', () => {
    const source = Uint8Array.of(1, 2, 3);
    const secret = Secret.take(source);
    expect(source).toEqual(new Uint8Array(3));
    const bytes = secret.expose();
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
    secret[Symbol.dispose]();
    expect(bytes).toEqual(new Uint8Array(3));
    expect(() => secret.expose()).toThrow('disposed');
    secret[Symbol.dispose]();
  });

  test('xor() gives back the key from its halves', () => {
    using key = Secret.random(32);
    using half = Secret.random(32);
    using other = key.xor(half);
    expect(other.expose()).not.toEqual(key.expose());
    using again = other.xor(half);
    expect(again.expose()).toEqual(key.expose());
    using short = Secret.random(31);
    expect(() => key.xor(short)).toThrow('lengths');
  });
});

describe('wrapKey() and unwrapKey()', () => {
  test('give back the key, and never the same bytes twice', () => {
    using root = Secret.random(32);
    using key = Secret.random(32);
    const wrapped = wrapKey(root, identity, key);
    expect(wrapKey(root, identity, key)).not.toEqual(wrapped);
    expect(Buffer.from(wrapped).includes(Buffer.from(key.expose()))).toBe(false);
    using opened = unwrapKey(root, identity, wrapped);
    expect(opened.expose()).toEqual(key.expose());
  });

  const others: [string, KeyIdentity][] = [
    ['another machine', { ...identity, id: 'mch_bbbbbbbbbbbbbbbbbbbb' }],
    ['another kind', { ...identity, kind: 'signing-key' }],
    ['another version', { ...identity, version: 2 }],
    ['parts that join to the same text', { kind: 'disk-', id: `key${identity.id}`, version: 1 }],
  ];
  test.each(others)('unwrapKey() refuses the key of %s', (_name, other) => {
    using root = Secret.random(32);
    using key = Secret.random(32);
    const wrapped = wrapKey(root, identity, key);
    expect(() => unwrapKey(root, other, wrapped)).toThrow('altered, moved');
  });

  test('unwrapKey() refuses every flipped byte, every truncation and another root key', () => {
    using root = Secret.random(32);
    using key = Secret.random(32);
    const wrapped = wrapKey(root, identity, key);
    for (let at = 0; at < wrapped.length; at += 1) {
      const flipped = wrapped.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(() => unwrapKey(root, identity, flipped)).toThrow('does not open');
      expect(() => unwrapKey(root, identity, wrapped.subarray(0, at))).toThrow('does not open');
    }
    expect(() => unwrapKey(root, identity, Buffer.concat([wrapped, Buffer.of(0)]))).toThrow('does not open');
    using stranger = Secret.random(32);
    expect(() => unwrapKey(stranger, identity, wrapped)).toThrow('another root key');
  });
});

describe('openRootKey()', () => {
  let directory = '';
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'keys-'))));
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('makes the key once, for this user alone, and opens the same one after', async () => {
    const path = join(directory, 'root.key');
    using first = await openRootKey(path, () => true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    using second = await openRootKey(path, () => {
      throw new Error('asked to make a key that is there');
    });
    expect(second.expose()).toEqual(first.expose());
    expect(readdirSync(directory)).toEqual(['root.key']);
  });

  test('gives ten processes that start at a time one key', async () => {
    const path = join(directory, 'root.key');
    const keys = await Promise.all(Array.from({ length: 10 }, () => openRootKey(path, () => true)));
    expect(new Set(keys.map((key) => Buffer.from(key.expose()).toString('hex'))).size).toBe(1);
    expect(statSync(path).nlink).toBe(1);
  });

  test('refuses to make a new one over keys that the lost one wrapped', async () => {
    await expect(openRootKey(join(directory, 'root.key'), () => false)).rejects.toMatchObject({ code: 'conflict' });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('refuses a key that is cut, too long, open to others, or a link', async () => {
    const path = join(directory, 'root.key');
    for (const length of [0, 31, 33]) {
      writeFileSync(path, new Uint8Array(length), { mode: 0o600 });
      await expect(openRootKey(path, () => true)).rejects.toMatchObject({ code: 'conflict' });
    }
    writeFileSync(path, new Uint8Array(32));
    chmodSync(path, 0o640);
    await expect(openRootKey(path, () => true)).rejects.toThrow('open to other users');
    rmSync(path);
    symlinkSync('/dev/zero', path);
    await expect(openRootKey(path, () => true)).rejects.toThrow('symbolic link');
  });
});
