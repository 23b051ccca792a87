// `keygen`, `seal`, `open` and `scrub` as somebody calls them.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealStream } from '@ringwall/seal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderExportHead } from '../sealed/export-file.ts';
import { readOpener } from '../sealed/key-files.ts';
import { runCli, type Run } from '../testing/harness.ts';

const MIB = 1024 * 1024;

describe('sealed files', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringwall-sealed-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const at = (name: string): string => join(dir, name);
  const cli = (...words: string[]): Promise<Run> => runCli(undefined, words);
  const keygen = async (name: string): Promise<string> => (await cli('keygen', '-o', at(name))).stdout.trim();

  test('are opened by whom they were sealed for, holes and all', async () => {
    const [recipient, other] = [await keygen('key'), await keygen('other')];
    expect(statSync(at('key')).mode & 0o777).toBe(0o600);
    writeFileSync(at('disk'), 'a canary');
    truncateSync(at('disk'), 4 * MIB + 5);
    const sealed = await cli('seal', at('disk'), '-o', at('disk.sealed'), '--to', recipient);
    expect(sealed).toMatchObject({ code: 0, stdout: expect.stringMatching(/is sealed\n +root [0-9a-f]{64}/) });
    expect(readFileSync(at('disk.sealed')).includes('a canary')).toBe(false);
    expect(statSync(at('disk.sealed')).size).toBeLessThan(2 * MIB);

    const opened = await cli('open', at('disk.sealed'), '-o', at('again'), '--key-file', at('key'));
    expect(opened).toMatchObject({ code: 0 });
    expect(readFileSync(at('again')).equals(readFileSync(at('disk')))).toBe(true);
    expect(statSync(at('again')).blocks * 512).toBeLessThan(2 * MIB);

    expect(other).not.toBe(recipient);
    const stranger = await cli('open', at('disk.sealed'), '-o', at('stolen'), '--key-file', at('other'));
    expect(stranger).toMatchObject({ code: 2, stderr: expect.stringMatching(/sealed for x25519 [0-9a-f]{16}/) });
  });

  test('are opened behind the ticket of an export, too', async () => {
    const recipient = await keygen('key');
    writeFileSync(at('state'), Buffer.alloc(2 * MIB, 'x'));
    await cli('seal', at('state'), '-o', at('sealed'), '--to', recipient);
    writeFileSync(at('exported'), Buffer.concat([renderExportHead('{"a":"ticket"}'), readFileSync(at('sealed'))]));
    expect(await cli('scrub', at('exported'))).toMatchObject({ code: 0 });
    const opened = await cli('open', at('exported'), '-o', at('again'), '--key-file', at('key'));
    expect(opened).toMatchObject({ code: 0 });
    expect(readFileSync(at('again')).equals(readFileSync(at('state')))).toBe(true);
  });

  test('that were changed leave nothing behind, and say where', async () => {
    await keygen('key');
    writeFileSync(at('file'), Buffer.alloc(3 * MIB, 'x'));
    await cli('seal', at('file'), '-o', at('sealed'), '--key-file', at('key'));
    expect(await cli('scrub', at('sealed'))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('all 3 records'),
    });
    const bytes = readFileSync(at('sealed'));
    bytes[2 * MIB] = (bytes[2 * MIB] ?? 0) ^ 1;
    writeFileSync(at('sealed'), bytes);
    const { code, stderr } = await cli('open', at('sealed'), '-o', at('out'), '--key-file', at('key'));
    expect([code, stderr]).toEqual([4, expect.stringMatching(/chunk 1, at byte \d+, is not what was sealed/)]);
    expect(readdirSync(dir).toSorted()).toEqual(['file', 'key', 'sealed']);
    expect(await cli('scrub', at('sealed'))).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('1 of 3 records'),
    });
  });

  test('of yesterday are refused where the root of today was kept', async () => {
    await keygen('key');
    writeFileSync(at('file'), 'x');
    await cli('seal', at('file'), '-o', at('old'), '--key-file', at('key'));
    const { stdout } = await cli('seal', at('file'), '-o', at('new'), '--key-file', at('key'), '--json');
    const { root } = JSON.parse(stdout);
    expect(await cli('open', at('new'), '-o', at('a'), '--key-file', at('key'), '--root', root)).toMatchObject({
      code: 0,
    });
    expect(await cli('open', at('old'), '-o', at('b'), '--key-file', at('key'), '--root', root)).toMatchObject({
      code: 4,
    });
  });

  test('are compressed where that is asked for', async () => {
    await keygen('key');
    writeFileSync(at('file'), 'many words '.repeat(100_000));
    await cli('seal', at('file'), '-o', at('sealed'), '--key-file', at('key'), '--compress');
    expect(statSync(at('sealed')).size).toBeLessThan(10_000);
    await cli('open', at('sealed'), '-o', at('out'), '--key-file', at('key'));
    expect(readFileSync(at('out')).equals(readFileSync(at('file')))).toBe(true);
  });

  test('that continue others are not opened alone', async () => {
    await keygen('key');
    const opener = await readOpener(at('key'));
    const recipients = [opener.kind === 'key' ? opener : { kind: opener.kind, publicKey: opener.pair.publicKey }];
    const parent = { object: '00'.repeat(16), root: '00'.repeat(32) };
    const pieces: Uint8Array[] = [];
    for await (const piece of sealStream([new Uint8Array(5)], { recipients, parent })) pieces.push(piece);
    writeFileSync(at('child'), Buffer.concat(pieces));
    for (const output of [['-o', at('out')], []]) {
      const { code, stderr } = await cli('open', at('child'), '--key-file', at('key'), ...output);
      expect([code, stderr]).toEqual([2, expect.stringMatching(/it continues object 0{32}, and none is there/)]);
    }
    expect(readdirSync(dir).toSorted()).toEqual(['child', 'key']);
  });

  test('tell on a terminal how far they are, and leave nothing of that', async () => {
    await keygen('key');
    writeFileSync(at('file'), Buffer.alloc(3 * MIB, 'x'));
    const onTerminal = (...words: string[]): Promise<Run> => runCli(undefined, words, { columns: 80 });
    const sealed = await onTerminal('seal', at('file'), '-o', at('sealed'), '--key-file', at('key'));
    expect(sealed.stderr).toMatch(/sealing .*file/);
    expect(sealed.stderr.endsWith('\u001b[2K')).toBe(true);
    expect((await onTerminal('scrub', at('sealed'))).stderr).toMatch(/reading .*sealed/);
    const opened = await onTerminal('open', at('sealed'), '-o', at('out'), '--key-file', at('key'));
    expect(opened.stderr).toMatch(/opening .*sealed/);
  });

  test.each<[string, string[], RegExp]>([
    ['nobody to seal for', ['seal', 'FILE', '-o', 'OUT'], /keygen -o FILE/],
    ['a recipient that is none', ['seal', 'FILE', '--to', 'bob'], /"bob" is no recipient/],
    ['no key', ['open', 'FILE', '-o', 'OUT'], /--key-file FILE/],
    ['a key file that holds none', ['open', 'FILE', '--key-file', 'FILE'], /FILE holds no key/],
    ['a target that is there', ['seal', 'FILE', '-o', 'FILE', '--key-file', 'KEY'], /is there already/],
    ['a file that is not sealed', ['open', 'FILE', '-o', 'OUT', '--key-file', 'KEY'], /does not begin like a sealed/],
    ['a root that is none', ['open', 'FILE', '--key-file', 'KEY', '--root', 'x'], /64 hexadecimal digits/],
    ['a file that is not there', ['scrub', 'GONE'], /GONE cannot be read/],
  ])('%s: says what to do', async (_, words, said) => {
    await keygen('KEY');
    writeFileSync(at('FILE'), 'some file');
    const placed = words.map((word) => (/^[A-Z]+$/.test(word) ? at(word) : word));
    const { code, stderr } = await cli(...placed);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(said);
    expect(readdirSync(dir).toSorted()).toEqual(['FILE', 'KEY']);
  });
});
