import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParseError } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DiskError } from '../disk-error.ts';
import { FileSource } from './file-source.ts';

describe('FileSource', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-source-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test('reads exactly what was asked for', () => {
    writeFileSync(join(dir, 'a'), 'abcdef');
    using source = FileSource.open(join(dir, 'a'));
    expect(source.size).toBe(6);
    expect(new TextDecoder().decode(source.read(2, 3))).toBe('cde');
    expect(() => source.read(4, 3)).toThrow(ParseError);
    const target = Buffer.alloc(2);
    source.readInto(3, target);
    expect(target.toString()).toBe('de');
    expect(() => source.readInto(5, target)).toThrow(ParseError);
  });

  test('ends where a file is cut off under it', () => {
    writeFileSync(join(dir, 'b'), 'abcdef');
    using source = FileSource.open(join(dir, 'b'));
    truncateSync(join(dir, 'b'), 3);
    expect(() => source.read(0, 6)).toThrow(/shorter while it was read/);
  });

  test('takes no directory and no character device', () => {
    for (const path of [dir, '/dev/null', '/dev/zero']) expect(() => FileSource.open(path)).toThrow(DiskError);
  });
});
