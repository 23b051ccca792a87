// What the replay of an IMA list costs: entries per second, both banks of PCR 10 and every template digest recomputed,
// against the rate at which node:crypto makes one SHA-256 of the same template data, in the same process.
import { createHash } from 'node:crypto';
import { ImaReplay } from '@ringwall/tpm';
import { pairs, type Figure } from './measure.ts';

const ENTRIES = 50_000;
const RUNS = 15;
const GOAL_RATIO = 0.5;
/** Where the template data of an entry begins: PCR, SHA-1, name length, `ima-ng`, data length. */
const DATA_AT = 4 + 20 + 4 + 6 + 4;

export async function benchIma(): Promise<Figure[]> {
  const entries = Array.from({ length: ENTRIES }, (_, index) => makeEntry(index));
  const list = Buffer.concat(entries);
  const replay = (): number =>
    timed(() => {
      const ima = new ImaReplay();
      ima.push(list);
      ima.end();
    });
  const bare = (): number =>
    timed(() => {
      for (const entry of entries) createHash('sha256').update(entry.subarray(DATA_AT)).digest();
    });
  await pairs(2, replay, bare); // warms both up
  const result = await pairs(RUNS, bare, replay);
  const perSecond = (milliseconds: number): string => Math.round((ENTRIES / milliseconds) * 1000).toLocaleString('en');
  return [
    {
      name: 'IMA entries replayed against bare SHA-256 of node:crypto',
      value: `${perSecond(result.b)} per second against ${perSecond(result.a)}: ratio ${result.ratio.toFixed(2)}`,
      goal: { text: `at least ${GOAL_RATIO}`, met: result.ratio >= GOAL_RATIO },
    },
  ];
}

/** `ima-ng` of a file as a distribution has them, some 90 bytes of template data. */
function makeEntry(index: number): Buffer {
  const digest = createHash('sha256').update(String(index)).digest();
  const path = Buffer.from(`/usr/lib/x86_64-linux-gnu/library-${index}.so\0`);
  const data = Buffer.concat([sized(Buffer.concat([Buffer.from('sha256:\0'), digest])), sized(path)]);
  const pcr = Buffer.from([10, 0, 0, 0]);
  const templateDigest = createHash('sha1').update(data).digest();
  return Buffer.concat([pcr, templateDigest, sized(Buffer.from('ima-ng')), sized(data)]);
}

function sized(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function timed(action: () => void): number {
  const startedAt = performance.now();
  action();
  return performance.now() - startedAt;
}
