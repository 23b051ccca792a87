// Drill: two snapshots of one memory, encrypted under one key. Where the scheme gives a page the same nonce in both, equal pages look
// equal, and a page that somebody knows in one opens its like in the other.
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChecked, run } from '@ringwall/host/exec';
import type { Attempt, Drill } from '../drill.ts';

const PAGE_BYTES = 4096;
const PAGES = 512;
/** The page that the attacker wrote himself before the first snapshot, and that holds somebody's secret at the second. */
const REUSED_PAGE = 200;
const COMPARED_BYTES = 32;
const CANARY_LENGTH = 24;

interface Memories {
  readonly first: Buffer;
  readonly second: Buffer;
  /** What the attacker knows of the first: the page that he had. */
  readonly known: Buffer;
  readonly canary: string;
}

export const nonceReuse: Drill = {
  name: 'nonce-reuse',
  title: 'Two encrypted snapshots of one machine are laid over each other',
  adversaries: ['A4'],
  story:
    'A machine’s memory is backed up every night, encrypted with the machine’s key. Somebody has two of the backups. A page of the first was his own, a request that he had sent; a day later it held another’s secret.',
  needsVictim: 'no',
  mustBeTrue: 'The thief has both files and knows one page of the first.',
  stoppedBy:
    'Each sealed object has a key of its own, made for it alone; the nonce of a record is made of the object’s counter and the record’s place in it.',

  async without({ directory, step }) {
    const memories = makeMemories();
    const paths = write(directory, memories);
    step('both are encrypted by openssl, AES-256 in counter mode, with the machine’s key and its fixed IV');
    const [key, iv] = [randomBytes(32).toString('hex'), randomBytes(16).toString('hex')];
    const stolen: Buffer[] = [];
    for (const path of paths) {
      await runChecked(run, [
        '/usr/bin/openssl',
        'enc',
        '-aes-256-ctr',
        '-K',
        key,
        '-iv',
        iv,
        '-in',
        path,
        '-out',
        `${path}.enc`,
      ]);
      stolen.push(readFileSync(`${path}.enc`));
    }
    return attack(memories, stolen);
  },

  async with({ directory, ringwall, step }) {
    const memories = makeMemories();
    const paths = write(directory, memories);
    step('both are sealed, for the same recipient');
    const recipient = (await ringwall.ok('keygen', '-o', join(directory, 'key'))).trim();
    const stolen: Buffer[] = [];
    for (const path of paths) {
      await ringwall.ok('seal', path, '-o', `${path}.sealed`, '--to', recipient);
      stolen.push(readFileSync(`${path}.sealed`));
    }
    return attack(memories, stolen);
  },
};

function makeMemories(): Memories {
  const first = randomBytes(PAGES * PAGE_BYTES);
  const second = Buffer.from(first);
  const canary = randomBytes(CANARY_LENGTH / 2).toString('hex');
  const at = REUSED_PAGE * PAGE_BYTES;
  second.fill(randomBytes(PAGE_BYTES), at, at + PAGE_BYTES);
  second.write(canary, at);
  return { first, second, known: first.subarray(at, at + PAGE_BYTES), canary };
}

function write(directory: string, { first, second }: Memories): readonly string[] {
  return [first, second].map((memory, index) => {
    const path = join(directory, `night-${String(index + 1)}`);
    writeFileSync(path, memory);
    return path;
  });
}

function attack(
  { known, canary }: Memories,
  [first = Buffer.of(), second = Buffer.of()]: readonly Buffer[],
): readonly Attempt[] {
  return [comparePages(first, second), openByKnown(first, second, known, canary)];
}

/** Pages of one that are anywhere in the other. */
function comparePages(first: Buffer, second: Buffer): Attempt {
  const seen = new Set<string>();
  // Wherever a page begins in the file: one piece of it at a whole number of pieces is in every page.
  for (let at = 0; at + COMPARED_BYTES <= first.length; at += COMPARED_BYTES) {
    seen.add(first.toString('latin1', at, at + COMPARED_BYTES));
  }
  let equal = 0;
  for (let at = 0; at + COMPARED_BYTES <= second.length; at += COMPARED_BYTES) {
    if (seen.has(second.toString('latin1', at, at + COMPARED_BYTES))) equal += 1;
  }
  const pages = Math.floor((equal * COMPARED_BYTES) / PAGE_BYTES);
  return {
    what: 'tell which pages stayed the same overnight',
    succeeded: pages > 0,
    seen: `${String(pages)} of ${String(PAGES)} pages look the same`,
  };
}

/** What a stream cipher gave out twice falls away: known ⊕ first ⊕ second, wherever in the files the page may lie. */
function openByKnown(first: Buffer, second: Buffer, known: Buffer, canary: string): Attempt {
  const wanted = Buffer.from(canary);
  const isHere = (at: number): boolean => {
    for (let index = 0; index < wanted.length; index += 1) {
      const byte = (known[index] ?? 0) ^ (first[at + index] ?? 0) ^ (second[at + index] ?? 0);
      if (byte !== wanted[index]) return false;
    }
    return true;
  };
  const most = Math.min(first.length, second.length) - wanted.length;
  let found = -1;
  for (let at = 0; found < 0 && at <= most; at += 1) if (isHere(at)) found = at;
  return {
    what: 'read the other’s secret by the page that he knew',
    succeeded: found >= 0,
    seen: found >= 0 ? `the canary, at byte ${String(found)}` : `no canary at any of ${String(most + 1)} places`,
  };
}
