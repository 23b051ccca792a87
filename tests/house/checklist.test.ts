// docs/checklist.md names a test for each clause of each point: every one of them is there, under that very title.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const POINTS = 15;
/** `| 4 | what | title | [`path`](../path) |` */
const ROW = /^\| (\d+) \| (.+?) \| (.+?) \| \[`(.+?)`\]\(\.\.\/(.+?)\) +\|$/;

interface Row {
  readonly point: number;
  readonly title: string;
  readonly path: string;
}

const rows: readonly Row[] = readFileSync(join(ROOT, 'docs/checklist.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| +\d/.test(line))
  .map((line) => {
    const [, point = '', , title = '', path = '', link] = ROW.exec(line.replaceAll(/ +/g, ' ')) ?? [];
    if (path === '' || path !== link) throw new Error(`a row of another form: ${line}`);
    return { point: Number(point), title, path };
  });

describe('docs/checklist.md', () => {
  test('has every point', () => {
    const points = new Set(rows.map(({ point }) => point));
    expect([...points].toSorted((a, b) => a - b)).toEqual(Array.from({ length: POINTS }, (_, index) => index + 1));
  });

  test.each(rows)('$point: “$title” is a test of $path', ({ title, path }) => {
    const source = readFileSync(join(ROOT, path), 'utf8');
    const titles = Array.from(source.matchAll(/(?:\b(?:it|test|describe)(?:\.\w+)?[^'"`\n]*|\]\)\()(['"`])(.+?)\1,/g));
    expect(titles.map(([, , found]) => found)).toContain(title);
  });
});
