import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParseError } from '@ringwall/bytes';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { convertImage } from './convert.ts';

const QEMU_IMG = '/usr/bin/qemu-img';
const SIZE = 72 * 2 ** 20 + 512;
/** Threads that may be ended while zlib opens a stream take the process with them in some of so many. */
const BROKEN_OFF = 60;
const AT_ONCE = 3;

describe.skipIf(!existsSync(QEMU_IMG))('convertImage() (skipped: needs qemu-utils)', () => {
  let folder: string;
  let disk: Buffer;
  const at = (name: string): string => join(folder, name);
  const qemuImg = (...args: string[]): void => void execFileSync(QEMU_IMG, args, { cwd: folder });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-convert-'));
    disk = Buffer.alloc(SIZE);
    disk.fill('some text. ', 3 * 2 ** 20, 11 * 2 ** 20);
    disk.fill('more of it, ', 39 * 2 ** 20, SIZE);
    writeFileSync(at('disk.raw'), disk);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', 'disk.raw', 'disk.qcow2');
    qemuImg('create', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'top.qcow2');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('writes the disk as it is, and leaves holes where it is zero', async () => {
    const converted = await convertImage(at('disk.qcow2'), at('a.raw'), { threads: 2 });
    expect(readFileSync(at('a.raw')).equals(disk)).toBe(true);
    expect(converted).toMatchObject({ format: 'qcow2', size: SIZE });
    expect(statSync(at('a.raw')).blocks * 512).toBeLessThan(converted.written + 2 ** 16);
  });

  test('reads another file only where the caller gives its path', async () => {
    await expect(convertImage(at('top.qcow2'), at('b.raw'))).rejects.toMatchObject({ code: 'reference' });
    expect(existsSync(at('b.raw'))).toBe(false);
    await convertImage(at('top.qcow2'), at('b.raw'), { files: new Map([['disk.qcow2', at('disk.qcow2')]]) });
    expect(readFileSync(at('b.raw')).equals(disk)).toBe(true);
  });

  test('leaves nothing where the image is damaged, and says what is', async () => {
    writeFileSync(at('cut.qcow2'), readFileSync(at('disk.qcow2')));
    truncateSync(at('cut.qcow2'), statSync(at('cut.qcow2')).size - 70_000);
    const failing = convertImage(at('cut.qcow2'), at('c.raw'), { threads: 2 });
    await expect(failing).rejects.toThrow(ParseError);
    // Which part of it lies at the end, qemu-img's own threads decide.
    await expect(failing).rejects.toMatchObject({
      field: expect.stringMatching(/^(?:L1 entry|L2 entry|compressed cluster)$/),
    });
    expect(existsSync(at('c.raw'))).toBe(false);
  });

  test('never overwrites, and stops when it is told', async () => {
    writeFileSync(at('d.raw'), 'mine');
    await expect(convertImage(at('disk.qcow2'), at('d.raw'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(at('d.raw'), 'utf8')).toBe('mine');
    const stop = new AbortController();
    const stopped = convertImage(at('disk.qcow2'), at('e.raw'), { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(stopped).rejects.toThrow('enough');
    expect(existsSync(at('e.raw'))).toBe(false);
  });

  test('is broken off while it unpacks, as often as anybody likes, and ends nothing else', async () => {
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'cluster_size=512', 'disk.raw', 'fine.qcow2');
    let broken = 0;
    const breakSome = async (lane: number): Promise<void> => {
      for (let each = 0; each < BROKEN_OFF / AT_ONCE; each += 1) {
        const stop = new AbortController();
        // When the first of its chunks is there, it works on the next.
        const onWritten = (): void => void setTimeout(() => stop.abort(new Error('enough')), Math.random() * 10);
        const output = at(`off-${String(lane)}.raw`);
        const { signal } = stop;
        await convertImage(at('fine.qcow2'), output, { signal, onWritten }).catch((error: unknown) => {
          if (error !== signal.reason) throw error;
          broken += 1;
        });
        rmSync(output, { force: true });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, (_, lane) => breakSome(lane)));
    expect(broken).toBeGreaterThan(0);
  });
});
