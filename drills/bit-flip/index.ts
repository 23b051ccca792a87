// Drill: somebody who can write to an encrypted disk flips bits of it, without a key.
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import type { Attempt, Drill } from '../drill.ts';
import { changedBytes } from './changed-bytes.ts';
import { diskOf } from '../victim.ts';

const WHAT = 'have other bytes read without an error';
/** QEMU 7.2 measures how fast it derives a key, by a clock of ticks, and gives up where none went by: on a busy host, now and then. */
const NOT_MEASURED = 'Unable to get accurate CPU usage';
const TRIES = 10;
const PLAIN_BYTES = 1024 * 1024;
/** LUKS1 On-Disk Format Specification 1.2.3, figure 1: payload-offset, in sectors. */
const PAYLOAD_OFFSET_AT = 104;
const SECTOR_BYTES = 512;
/** Of the file that is read, and of what pushes it out of dm-integrity's journal, which would answer in the disk's place. */
const FILE_MIB = 4;
const FILLER_MIB = 24;
/** One flip in each of the pieces that changed. */
const FLIP_EACH_BYTES = 64 * 1024;

export const bitFlip: Drill = {
  name: 'bit-flip',
  title: 'Bits of an encrypted disk are flipped',
  adversaries: ['A4'],
  inPart: [
    {
      adversary: 'A6',
      only: 'as far as they write to the disk: a sector that is put back with its tag, as both were before, is taken',
    },
  ],
  story:
    'Somebody gets at the storage, not at a key: a backup on its way, a network disk, a broken drive. They change bytes of the ciphertext, for the guest to work on with other data than it wrote.',
  mustBeTrue: 'They can write to the image, and know roughly where a file lies.',
  stoppedBy:
    'A tag for each sector, HMAC-SHA-256 over what it holds and where (`--encryption authenticated`): the read fails, and the kernel says so.',

  async without({ directory, step }) {
    step('qemu-img makes an encrypted disk (LUKS, AES-XTS)');
    const plain = join(directory, 'plain.raw');
    const disk = join(directory, 'plain.luks');
    const secret = join(directory, 'secret');
    const content = Buffer.alloc(PLAIN_BYTES, 'the truth\n');
    writeFileSync(plain, content);
    writeFileSync(secret, 'a passphrase');
    const object = ['--object', `secret,id=key,file=${secret}`];
    const image = `driver=luks,key-secret=key,file.driver=file,file.filename=${disk}`;
    await must([
      ...['qemu-img', 'convert', '-f', 'raw', '-O', 'luks'],
      ...object,
      '-o',
      'key-secret=key,iter-time=10',
      plain,
      disk,
    ]);
    step('one bit of it is flipped');
    const payloadAt = readFileSync(disk).readUInt32BE(PAYLOAD_OFFSET_AT) * SECTOR_BYTES;
    flip(disk, [payloadAt + PLAIN_BYTES / 2]);
    await must([...['qemu-img', 'convert'], ...object, '--image-opts', image, '-O', 'raw', plain]);
    const other = readFileSync(plain).filter((byte, index) => byte !== content[index]).length;
    const seen = `${other} bytes are others than were written, and nothing failed`;
    return [{ what: WHAT, succeeded: other > 0, seen }];
  },

  async with({ ringwall, victim, step }) {
    const disk = await diskOf(ringwall, victim);
    using console = await ringwall.openConsole(victim);
    const write = `${fill('/data/file', FILE_MIB)} && sync && ${fill('/data/filler', FILLER_MIB)}`;
    const read = 'echo 3 > /proc/sys/vm/drop_caches; sha256sum /data/file || true';
    step('the machine writes a file');
    const places = await changedBytes(disk, FLIP_EACH_BYTES, () => console.run(`${write} && sync && sleep 2 && sync`));
    const before = digestIn(await console.run(read));
    step(`${places.length} bits of what it wrote are flipped`);
    flip(disk, places);
    const said = await console.run(read);
    const kernel = await console.run('dmesg | grep "INTEGRITY AEAD ERROR" | tail -n 1');
    flip(disk, places);
    const after = digestIn(await console.run(read));
    await console.run('rm /data/file /data/filler && sync');
    if (before === undefined || after !== before) throw new Error(`the file does not come back: ${said}`);
    const seen = digestIn(said);
    if (seen === before) throw new Error('no flipped bit was in the file');
    return [attempt(seen, said, kernel)];
  },
};

function fill(path: string, mib: number): string {
  return `dd if=/dev/urandom of=${path} bs=1M count=${mib} 2>/dev/null`;
}

function attempt(digest: string | undefined, said: string, kernel: string): Attempt {
  if (digest !== undefined) return { what: WHAT, succeeded: true, seen: `a file with the digest ${digest}` };
  if (!kernel.includes('INTEGRITY AEAD ERROR'))
    throw new Error(`the file was not read, and the kernel does not say why: ${said}`);
  return {
    what: WHAT,
    succeeded: false,
    seen:
      kernel
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^\[[^\]]*\] /, '') ?? '',
  };
}

function digestIn(text: string): string | undefined {
  return /\b[0-9a-f]{64}\b/.exec(text)?.[0];
}

/** Flips the lowest bit of the bytes at these places; once more, and they are as before. */
function flip(path: string, places: readonly number[]): void {
  const file = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    for (const at of places) {
      readSync(file, byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 1;
      writeSync(file, byte, 0, 1, at);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

async function must(argv: readonly string[]): Promise<void> {
  const [program = '', ...rest] = argv;
  for (let tries = TRIES; ; tries -= 1) {
    const { code, stderr } = await run([`/usr/bin/${program}`, ...rest]);
    if (code === 0) return;
    const isBusy = stderr.includes(NOT_MEASURED);
    if (!isBusy || tries === 1) throw new Error(`${program}: ${stderr.toString()}`);
  }
}
