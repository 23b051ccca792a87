// Holds docs/threats.md to the drills that it is made from.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from './threats.ts';

const PAGE = resolve(import.meta.dirname, '../docs/threats.md');

function threats(...words: string[]): { status: number; said: string } {
  let said = '';
  const status = main(words, (text) => (said += text));
  return { status, said };
}

describe('docs/threats.md', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringwall-threats-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('is what tools/threats.ts makes of the drills', () => {
    expect(threats('--check')).toEqual({ status: 0, said: '' });
  });

  it('is called stale after any change, and written again', () => {
    const copy = join(directory, 'threats.md');
    writeFileSync(copy, readFileSync(PAGE, 'utf8').replace('What must be true', 'What may be true'));
    const { status, said } = threats('--check', copy);
    expect(status).toBe(1);
    expect(said).toContain('is stale; write it again: node --conditions=ringwall-source tools/threats.ts');
    expect(threats(copy)).toEqual({ status: 0, said: '' });
    expect(readFileSync(copy, 'utf8')).toBe(readFileSync(PAGE, 'utf8'));
  });
});
