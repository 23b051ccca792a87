import { describe, expect, test } from 'vitest';
import { EvidenceError } from '../errors.ts';
import { indexRuntimeFiles, MAX_RUNTIME_FILES_BYTES, parseRuntimeFiles, renderRuntimeFiles } from './index.ts';

const A = 'aa'.repeat(32);
const B = 'bb'.repeat(32);
const BUSYBOX = { name: 'busybox-static', version: '1:1.35.0-4' };
const FILES = {
  image: 'hello',
  files: [
    { path: '/bin/busybox', sha256: A, package: BUSYBOX },
    { path: '/init', sha256: B, package: undefined },
  ],
};

describe('renderRuntimeFiles()', () => {
  test('writes the same bytes for the same list, in whatever order it comes', () => {
    const [busybox, init] = FILES.files;
    if (busybox === undefined || init === undefined) throw new Error('no files');
    const shuffled = { image: 'hello', files: [init, busybox, { ...init }] };
    expect(renderRuntimeFiles(shuffled)).toBe(renderRuntimeFiles(FILES));
  });

  test('is what a person can read', () => {
    expect(renderRuntimeFiles(FILES)).toBe(
      `{"version":1,"image":"hello","packages":[
{"name":"busybox-static","version":"1:1.35.0-4"}],"files":[
{"path":"/bin/busybox","sha256":"${A}","package":0},
{"path":"/init","sha256":"${B}","package":-1}]}
`,
    );
  });
});

describe('parseRuntimeFiles()', () => {
  test('gives the list that was written, to look things up in', () => {
    const parsed = parseRuntimeFiles(renderRuntimeFiles(FILES));
    expect(parsed).toEqual(FILES);
    const index = indexRuntimeFiles(parsed);
    expect(index.bySha256.get(A)?.package).toEqual(BUSYBOX);
    expect(index.byPath.get('/init')?.sha256).toBe(B);
  });

  test.each<[string, string | RegExp, string]>([
    ['another version', '"version":1', '"version":2'],
    ['a digest that is none', A, A.slice(1)],
    ['a package that is not there', '"package":0', '"package":1'],
    ['a path that is not absolute', '"/init"', '"init"'],
    ['a path with a control character', '"/init"', '"/in\\u001bit"'],
    ['white space that nobody wrote', '"files":[', '"files": ['],
    ['another order', /(\{"path":"\/bin.*\}),\n(.*)\]\}/, '$2,\n$1]}'],
    ['an unknown key', '"image":', '"x":1,"image":'],
    ['no file at all', /"files":\[[\s\S]*/, '"files":[\n]}\n'],
  ])('refuses %s', (_, from, to) => {
    const text = renderRuntimeFiles(FILES);
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(() => parseRuntimeFiles(changed)).toThrow(EvidenceError);
  });

  test('refuses every truncation, and more than the limit before it is read', () => {
    const text = renderRuntimeFiles(FILES);
    for (let length = 0; length < text.length; length += 1) {
      expect(() => parseRuntimeFiles(text.slice(0, length))).toThrow(EvidenceError);
    }
    expect(() => parseRuntimeFiles(' '.repeat(MAX_RUNTIME_FILES_BYTES + 1))).toThrow('characters');
  });
});
