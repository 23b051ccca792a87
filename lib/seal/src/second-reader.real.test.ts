// A reader in another language, written from docs/sealed-format.md, reads what this one writes.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import {
  CHILD_PLAN,
  childOf,
  contentsOf,
  KEY,
  OPENER,
  seal,
  VECTOR_IDENTITY,
  VECTOR_PLAN,
} from '../testing/sealing.ts';
import { makeKeyPair } from './hpke.ts';

const PYTHON = '/usr/bin/python3';
const READER = join(import.meta.dirname, '../testing/reader.py');
const has = spawnSync(PYTHON, ['-c', 'import cryptography']).status === 0;

function read(secret: string, sealed: Uint8Array, ...parent: readonly string[]): Buffer {
  return execFileSync(PYTHON, [READER, secret, ...parent], { input: sealed, stdio: ['pipe', 'pipe', 'pipe'] });
}

describe.skipIf(!has)(`a reader in Python${has ? '' : ' (skipped: needs python3-cryptography)'}`, () => {
  test.each(['', 's', 'dzzt', 'zdzzs', 'dddddd'])('opens %j', async (plan) => {
    const contents = Buffer.from(contentsOf(plan));
    for (const bytes of [undefined, contents.length]) {
      const { bytes: sealed } = await seal(contents, bytes === undefined ? {} : { bytes });
      expect(read(toHex(KEY), sealed).equals(contents)).toBe(true);
    }
  });

  test('opens what was sealed to a public key', async () => {
    const pair = await makeKeyPair();
    const { bytes } = await seal(contentsOf('ds'), {
      recipients: [OPENER, { kind: 'x25519', publicKey: pair.publicKey }],
    });
    expect(read(`x25519:${toHex(pair.privateKey)}`, bytes).equals(Buffer.from(contentsOf('ds')))).toBe(true);
  });

  test('opens the vectors', () => {
    const vector = (name: string): Buffer => readFileSync(join(import.meta.dirname, '../fixtures', name));
    const contents = Buffer.from(contentsOf(VECTOR_PLAN));
    expect(read(toHex(KEY), vector('aes-256-gcm.sealed')).equals(contents)).toBe(true);
    expect(read(`x25519:${toHex(VECTOR_IDENTITY)}`, vector('aes-256-gcm.sealed')).equals(contents)).toBe(true);
    expect(read(toHex(KEY), vector('chacha20-poly1305.sealed')).equals(contents)).toBe(true);
  });

  test('opens what has a parent', () => {
    const { contents, parent } = childOf(CHILD_PLAN);
    const folder = mkdtempSync(join(tmpdir(), 'ringwall-second-reader-'));
    try {
      writeFileSync(join(folder, 'parent'), parent);
      const sealed = readFileSync(join(import.meta.dirname, '../fixtures/child.sealed'));
      expect(read(toHex(KEY), sealed, join(folder, 'parent')).equals(Buffer.from(contents))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('refuses what was changed', async () => {
    const { bytes } = await seal(contentsOf('ds'));
    for (const at of [20, bytes.length - 5000, bytes.length - 100, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => read(toHex(KEY), changed)).toThrow('reader.py');
    }
  });
});
