import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { afterAll, describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
const dir = mkdtempSync(join(tmpdir(), 'ringwall-imagebuilder-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});

async function lastLine(...argv: readonly string[]): Promise<unknown> {
  const result = await run([process.execPath, '--conditions=ringwall-source', MAIN, ...argv]);
  expect(result.code).toBe(1);
  return JSON.parse(result.stdout.toString('utf8').trim().split('\n').at(-1) ?? '');
}

describe('imagebuilder', () => {
  it.each([
    ['nothing', []],
    ['no directory', ['hello']],
    ['two names', ['hello', 'debian', '--out', join(dir, 'x')]],
    ['an option that is unknown', ['hello', '--out', join(dir, 'x'), '--force']],
  ])('given %s, says how it is called', async (_name, argv) => {
    expect(await lastLine(...argv)).toMatchObject({
      error: { code: 'bad-request', hint: 'imagebuilder NAME --out DIR [--cache DIR]' },
    });
  });

  it('given an image that it does not know, names those that it does', async () => {
    expect(await lastLine('../hello', '--out', join(dir, 'x'))).toEqual({
      error: { code: 'image-unknown', message: 'no image is called "../hello"', hint: 'there are: hello, debian' },
    });
  });
});
