// Sealing 1 GiB (half zeros, a quarter random, a quarter text) against age, in one run: to a file, both from the same file; and
// with Zstandard against `zstd | age`. Opening it again, too; and what of it is the cipher's own speed.
import { randomFillSync } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { availableParallelism } from 'node:os';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { makeKeyPair } from '@ringwall/seal';
import { BUNDLED_COMMAND } from '@ringwall/testkit';
import { toHex } from '@ringwall/bytes';
import { pairs, timeProcess, type Figure } from './measure.ts';

const AGE = '/usr/bin/age';
const MIB: number = 1024 * 1024;
const SIZE_MIB = 1024;
const RUNS = 5;
const GOALS = { rate: 2.5, zstdRate: 1.5, zstdBytes: 1.05, bare: 0.8 };
const BARE_MS = 1000;

export async function benchSeal(): Promise<Figure[]> {
  if (!existsSync(AGE)) throw new Error('bench seal needs age: apt-get install age');
  // In memory: a disk would be what is measured.
  const dir = mkdtempSync('/dev/shm/ringwall-bench-seal-');
  try {
    const source = join(dir, 'source');
    makeSource(source);
    const [ours, theirs, again] = [join(dir, 'ours'), join(dir, 'theirs'), join(dir, 'again')];
    const [key, ageKey] = [join(dir, 'key'), join(dir, 'age.key')];
    const { publicKey, privateKey } = await makeKeyPair();
    const recipient = `ringwall-recipient:${toHex(publicKey)}`;
    writeFileSync(key, `ringwall-identity:${toHex(privateKey)}\n`);
    await run(['/usr/bin/age-keygen', '-o', ageKey]);
    const keygen = await run(['/usr/bin/age-keygen', '-y', ageKey]);
    const ageRecipient = keygen.stdout.toString().trim();
    const time = (target: string, argv: readonly string[]): number => {
      rmSync(target, { force: true });
      return timeProcess(argv, { PATH: '/usr/bin:/bin' });
    };
    const seal = (...more: string[]): number =>
      time(ours, [...BUNDLED_COMMAND, 'seal', source, '-o', ours, '--to', recipient, ...more]);
    const plain = await pairs(
      RUNS,
      () => seal(),
      () => time(theirs, [AGE, '-r', ageRecipient, '-o', theirs, source]),
    );
    const rate = 1 / plain.ratio;
    const opened = await pairs(
      RUNS,
      () => time(again, [...BUNDLED_COMMAND, 'open', ours, '-o', again, '--key-file', key]),
      () => time(again, [AGE, '-d', '-i', ageKey, '-o', again, theirs]),
    );
    const packed = await pairs(
      RUNS,
      () => seal('--compress'),
      () =>
        time(theirs, ['/bin/sh', '-c', `zstd -q -c "$1" | age -r "$2" -o "$3"`, 'sh', source, ageRecipient, theirs]),
    );
    const zstdRate = 1 / packed.ratio;
    const bytes = statSync(ours).size / statSync(theirs).size;
    const share = SIZE_MIB / 2 / (plain.a / 1000) / (await bareRate());
    return [
      {
        name: 'sealing 1 GiB (half zeros, a quarter random, a quarter text) against age',
        value: `${perSecond(plain.a)} against ${perSecond(plain.b)}: ratio ${rate.toFixed(2)}`,
        goal: { text: `at least ${String(GOALS.rate)}`, met: rate >= GOALS.rate },
      },
      {
        name: 'opening it again, against age',
        value: `${perSecond(opened.a)} against ${perSecond(opened.b)}: ratio ${(1 / opened.ratio).toFixed(2)}`,
      },
      {
        name: 'sealing it compressed, against zstd | age',
        value: `${perSecond(packed.a)} against ${perSecond(packed.b)}: ratio ${zstdRate.toFixed(2)}, bytes ${bytes.toFixed(2)}`,
        goal: {
          text: `at least ${String(GOALS.zstdRate)}, bytes at most ${String(GOALS.zstdBytes)}`,
          met: zstdRate >= GOALS.zstdRate && bytes <= GOALS.zstdBytes,
        },
      },
      {
        name: 'sealing what is not zero in it, the whole program, against createCipheriv alone on as many threads',
        value: `ratio ${share.toFixed(2)}`,
        goal: { text: `at least ${String(GOALS.bare)}`, met: share >= GOALS.bare },
      },
    ];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** In pieces of 1 MiB that alternate, as memory and disks do. */
function makeSource(file: string): void {
  const random = Buffer.alloc(MIB);
  const text = Buffer.alloc(MIB, 'The quick brown fox jumps over the lazy dog, and so it did in line 000000.\n');
  const fd = openSync(file, 'wx');
  for (let index = 0; index < SIZE_MIB; index += 1) {
    if (index % 4 === 1) writeSync(fd, randomFillSync(random), 0, MIB, index * MIB);
    if (index % 4 === 3) {
      text.write(String(index).padStart(6, '0'), 67);
      writeSync(fd, text, 0, MIB, index * MIB);
    }
  }
  closeSync(fd);
}

/** MiB of AES-256-GCM a second, in chunks of 1 MiB that nobody reads or writes. */
async function bareRate(): Promise<number> {
  const rates = await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      const worker = new Worker(BARE, { eval: true, workerData: { chunkBytes: MIB, milliseconds: BARE_MS } });
      const [rate]: number[] = await once(worker, 'message');
      return rate ?? 0;
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

const BARE = `
  const { createCipheriv, randomBytes } = require('node:crypto');
  const { parentPort, workerData: { chunkBytes, milliseconds } } = require('node:worker_threads');
  const [key, iv, chunk] = [randomBytes(32), randomBytes(12), Buffer.alloc(chunkBytes)];
  const startedAt = performance.now();
  let chunks = 0;
  for (; performance.now() - startedAt < milliseconds; chunks += 1) {
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    cipher.update(chunk);
    cipher.final();
    cipher.getAuthTag();
  }
  parentPort.postMessage(chunks / ((performance.now() - startedAt) / 1000));
`;

function perSecond(milliseconds: number): string {
  return `${(SIZE_MIB / (milliseconds / 1000)).toFixed(0)} MiB/s`;
}
