// `key` against a daemon that answers, and `verify` of the record that it writes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diskKeyId, encodeErasure, signErasure } from '@ringwall/evidence';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSigner } from '../../../lib/evidence/testing/proofs.ts';
import { FakeApi } from '../testing/fake-api.ts';
import { runCli, type Run } from '../testing/harness.ts';

let directory: string;
let api: FakeApi;
let record: string;
let key: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'rw-key-'));
  api = await FakeApi.start();
  api.add('hello');
  const at = new Date('2026-11-21T12:00:00.000Z');
  const broker = await makeSigner();
  key = Buffer.from(broker.publicKey).toString('hex');
  const id = await diskKeyId(new Uint8Array(32));
  const subject = { kind: 'machine', id: 'mch_aaaabbbbccccddddeeee', name: 'web' } as const;
  const keys = [{ version: 1, id, how: 'erased', at }] as const;
  record = encodeErasure(await signErasure({ subject, keys, searched: { bytes: 4096, copies: 0 }, at }, broker));
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** With a home of its own, so that no test trusts what another learnt. */
const environment = (): Record<string, string> => ({ XDG_CONFIG_HOME: join(directory, 'nobody') });

function verify(file: string, ...more: string[]): Promise<Run> {
  return runCli(undefined, ['verify', file, ...more], { environment: environment() });
}

describe('key', () => {
  it('rotate says when the new key comes', async () => {
    const { code, stdout } = await runCli(api, ['key', 'rotate', 'hello']);
    expect(stdout).toContain('The disk of hello gets key 2 at its next start');
    expect(stdout).toContain('ringwall stop hello && ');
    expect(code).toBe(0);
  });

  it('rotate --root is of the broker, and of no machine', async () => {
    const { code, stdout } = await runCli(api, ['key', 'rotate', '--root']);
    expect(stdout).toContain('another root key. Keys that were wrapped anew: 1.');
    expect(code).toBe(0);
    expect((await runCli(api, ['key', 'rotate', '--root', 'hello'])).code).toBe(2);
  });

  it.each([['key'], ['key', 'destroy'], ['key', 'rotate'], ['key', 'erasure'], ['key', 'erasure', 'a', 'b']])(
    'is not understood as %s %s',
    async (...words) => {
      expect((await runCli(api, words)).code).toBe(2);
    },
  );

  it('erasure writes the record, which verify then judges', async () => {
    expect((await runCli(api, ['key', 'erasure', 'web'])).code).toBe(3);
    api.erasure = JSON.parse(record);
    const file = join(directory, 'web.erasure.json');
    const written = await runCli(api, ['key', 'erasure', 'web', '-o', file]);
    expect(written.stdout).toContain(`verify ${file}`);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(record));
    const own = await verify(file);
    expect(own.stdout).toMatch(/^CONSISTENT, NOT PROVEN/);
    expect(own.code).toBe(9);
    const proven = await verify(file, '--broker-key', key);
    expect(proven.stdout).toMatch(/^PROVEN[\s\S]*machine web[\s\S]*It says nothing[\s\S]*backups/);
    expect(proven.code).toBe(0);
  });

  it('verify refuses a record that was altered, or of another broker, and one that is cut', async () => {
    const file = join(directory, 'altered.json');
    writeFileSync(file, record.replace('"web"', '"db"'));
    expect(await verify(file, '--broker-key', key)).toMatchObject({ code: 4 });
    writeFileSync(file, record);
    const other = Buffer.from((await makeSigner()).publicKey).toString('hex');
    expect(await verify(file, '--broker-key', other)).toMatchObject({ code: 4 });
    writeFileSync(file, record.slice(0, -20));
    expect((await verify(file)).stderr).toContain('is no record of an erasure');
  });
});
