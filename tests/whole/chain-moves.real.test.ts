// A snapshot that continues others, on its way to another host: all of them go along in one file, are put back there as one, and are
// refused where one of them is missing, in the place of another, or from another machine. What is there already stays as it lies.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseExport, type SignedExport } from '@ringwall/evidence';
import { Instance } from '@ringwall/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const NAME = 'web';
/** Another machine, for the other half. */
const OTHER = 'db';
const TICKET_AT = 12;
/** Magic, envelope and manifest of an object are less. */
const HEAD_BYTES = 8192;

describe('a snapshot that continues others', () => {
  let [alpha, beta]: (Instance | undefined)[] = [];
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ringwall-test-'));
    alpha = await Instance.start();
    await alpha.ok('run', 'hello', '--name', NAME);
    beta = await Instance.start({ images: join(alpha.stateDir, 'images') });
  });
  afterAll(async () => {
    await alpha?.[Symbol.asyncDispose]();
    await beta?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test('moves with them, and its machine goes on there where the newest left it', async () => {
    const [from, to] = [defined(alpha), defined(beta)];
    for (const word of ['one', 'two', 'three']) {
      using console = await from.openConsole(NAME);
      await console.run(`${word}=in-memory-${word}; echo on-disk-${word} >> /data/words; newest=${word}; sync`);
      await from.ok('snapshot', NAME);
    }
    expect(await from.ok('snapshot', 'ls')).toMatch(/web@3 .* since @2 [^]*web@2 .* since @1 |web@1 .* full /);
    await from.ok('stop', NAME);
    const [recipient, file] = [join(directory, 'beta.json'), join(directory, 'web.ringwall')];
    await to.ok('snapshot', 'recipient', '-o', recipient);
    await from.ok('snapshot', 'export', `${NAME}@3`, '--to', recipient, '-o', file, '--move');

    const bytes = readFileSync(file);
    const { ticket, head, objects } = partsOf(bytes);
    expect(objects).toHaveLength(3);
    const { stderr: unknown } = await to.cli('snapshot', 'import', file);
    expect(unknown).toMatch(/--accept [0-9a-f]{64}/);
    const [, fingerprint = ''] = /--accept ([0-9a-f]{64})/.exec(unknown) ?? [];
    const [one = Buffer.of(), two = Buffer.of(), three = Buffer.of()] = objects;
    const flipped = Buffer.from(two);
    flipped.writeUInt8(two.readUInt8(two.length - 300) ^ 1, two.length - 300);
    const bad: readonly (readonly [string, readonly Buffer[], RegExp])[] = [
      ['without the whole one', [two, three], /bytes behind its ticket/],
      ['without one in the middle', [one, three], /bytes behind its ticket/],
      ['one altered in the middle', [one, flipped, three], /is damaged/],
      [
        'one in the place of another',
        [two, one, three],
        /no sealed object|another object|not what was sealed|continues/,
      ],
    ];
    for (const [what, all, said] of bad) {
      const copy = join(directory, 'altered.ringwall');
      writeFileSync(copy, Buffer.concat([head, ...all]));
      const { code, stderr } = await to.cli('snapshot', 'import', copy, '--accept', fingerprint);
      expect({ what, code }).toEqual({ what, code: 4 });
      expect(stderr, what).toMatch(said);
      expect(await to.ok('ls')).not.toContain(NAME);
    }
    expect(readdirSync(join(to.stateDir, 'snapshots', 'incoming'))).toEqual([]);
    expect((await to.cli('scrub', file)).stderr).toContain('has 3 objects');

    await to.ok('snapshot', 'import', file, '--accept', fingerprint);
    expect(await to.ok('snapshot', 'ls')).toMatch(/web@3 .* since @2 /);
    expect(await to.ok('snapshot', 'verify', `${NAME}@3`)).toContain('is whole');
    expect((await to.cli('snapshot', 'rm', `${NAME}@1`)).stderr).toContain('@2 continues it');
    await to.ok('restore', NAME);
    {
      using console = await to.openConsole(NAME);
      expect(await console.run('echo $one $two $three; cat /data/words')).toBe(
        'in-memory-one in-memory-two in-memory-three\non-disk-one\non-disk-two\non-disk-three\n',
      );
    }
    await to.ok('stop', NAME, '--grace', '0');
    // To one that came below it, by name: without what was done since.
    await to.ok('restore', `${NAME}@2`, '--rewind');
    using console = await to.openConsole(NAME);
    expect(await console.run('echo $newest; cat /data/words')).toBe('two\non-disk-one\non-disk-two\n');
    expect(ticket.snapshot.sequence).toBe(3);
  });

  test('comes alone where they are there already, and leaves those as they lie', async () => {
    const [from, to] = [defined(alpha), defined(beta)];
    const inDirectory = (name: string): string => join(directory, name);
    const [recipient, copy, moved] = [
      inDirectory('beta.json'),
      inDirectory('copy.ringwall'),
      inDirectory('moved.ringwall'),
    ];
    await from.ok('run', 'hello', '--name', OTHER);
    const save = async (word: string): Promise<void> => {
      using console = await from.openConsole(OTHER);
      await console.run(`${word}=in-memory-${word}; echo on-disk-${word} >> /data/words; sync`);
      await from.ok('snapshot', OTHER);
    };
    await save('one');
    await save('two');
    await from.ok('snapshot', 'export', `${OTHER}@2`, '--to', recipient, '-o', copy);
    await to.ok('snapshot', 'import', copy, '--rewind');
    await save('three');
    await from.ok('stop', OTHER);
    await from.ok('snapshot', 'export', `${OTHER}@3`, '--to', recipient, '-o', moved, '--move');

    const { ticket, head, objects } = partsOf(readFileSync(moved));
    const [one = Buffer.of(), two = Buffer.of(), three = Buffer.of()] = objects;
    const files = ticket.bases.map(({ id }) => join(to.stateDir, 'snapshots', ticket.machine.id, `${id}.sealed`));
    const [first = ''] = files;
    const whole = readFileSync(first);
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(whole.readUInt8(whole.length - 300) ^ 1, whole.length - 300);
    writeFileSync(first, damaged);
    const refused = await to.cli('snapshot', 'import', moved, '--rewind');
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/@1, which it continues, is here already and not whole/);
    expect(await to.ok('snapshot', 'ls')).not.toContain(`${OTHER}@3`);
    expect(readdirSync(join(to.stateDir, 'snapshots', 'incoming'))).toEqual([]);
    writeFileSync(first, whole);

    const asTheyLie = (): unknown[] =>
      files.map((file) => {
        const { ino, ctimeNs } = statSync(file, { bigint: true });
        return { file, ino, ctimeNs };
      });
    const before = asTheyLie();
    // Nothing of theirs is sent: what the file has of them behind their heads may be anything.
    const blank = (object: Buffer): Buffer =>
      Buffer.concat([object.subarray(0, HEAD_BYTES), Buffer.alloc(object.length - HEAD_BYTES)]);
    writeFileSync(moved, Buffer.concat([head, blank(one), blank(two), three]));
    expect(await to.ok('snapshot', 'import', moved, '--rewind')).toContain(`${OTHER}@1, ${OTHER}@2`);
    expect(asTheyLie()).toEqual(before);
    expect(await to.ok('snapshot', 'ls')).toContain(`${OTHER}@3`);
    expect(await to.ok('snapshot', 'verify', `${OTHER}@3`)).toContain('is whole');
    expect((await to.cli('snapshot', 'import', moved, '--rewind')).stderr).toContain(`${OTHER}@3 is here already`);
    await to.ok('restore', OTHER);
    using console = await to.openConsole(OTHER);
    expect(await console.run('echo $one $two $three; cat /data/words')).toBe(
      'in-memory-one in-memory-two in-memory-three\non-disk-one\non-disk-two\non-disk-three\n',
    );
  });
});

/** As the file has them, in its order. */
function partsOf(bytes: Buffer): {
  readonly ticket: SignedExport;
  readonly head: Buffer;
  readonly objects: readonly Buffer[];
} {
  const end = TICKET_AT + bytes.readUInt32BE(TICKET_AT - 4);
  const ticket = parseExport(bytes.subarray(TICKET_AT, end).toString());
  let at = end;
  const objects = [...ticket.bases, ticket.snapshot].map(({ bytes: length }) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  return { ticket, head: bytes.subarray(0, end), objects };
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the instances are not there');
  return value;
}
