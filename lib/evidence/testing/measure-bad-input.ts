// What every reader of bytes does with what it must not take: truncations and thousands of mutations of real data, and far
// too much of it. It runs in a process of its own, so that its memory is its own, and prints one line of JSON. Processor
// time, not the clock's: a busy machine makes nothing slow here.
import { readFileSync, writeFileSync } from 'node:fs';
import { concatBytes, ParseError } from '@ringwall/bytes';
import { ImaReplay, MAX_IMA_ENTRIES, TpmError } from '@ringwall/tpm';
import { startProcessorClock } from '../../bytes/testing/processor-time.ts';
import { encodeIma, imaNg } from '../../tpm/testing/ima-list.ts';
import { EvidenceError } from '../src/index.ts';
import { allReaders } from './readers.ts';

/** What is larger takes a millisecond to read, and its structures repeat. */
const LARGE_BYTES = 8 * 1024;
/** Cut at every byte, or at as many places. */
const LARGE_TRUNCATIONS = 400;
const MUTATIONS = 1000;
const LARGE_MUTATIONS = 400;
const TOO_MUCH_BYTES = 64 * 1024 * 1024;
const IMA_ENTRIES_IN_A_CHUNK = 1000;
/** What took longer than all before is read again so often. */
const REPEATS = 3;

/** What one reader did with all of one kind of input. */
export interface BadInputFigures {
  readonly name: string;
  readonly inputs: number;
  /** Processor time of the slowest one, in milliseconds. */
  readonly slowestMs: number;
  /** By what the memory of the process grew at most, in MiB. */
  readonly grewMiB: number;
  /** Errors that are none of the library's own. */
  readonly foreign: readonly string[];
}

const figures: BadInputFigures[] = [];
const readers = await allReaders();
for (const { name, bytes, read } of readers) {
  // Compiled before it is timed.
  for (const changed of mutations(bytes, 50)) outcome(() => read(changed));
  figures.push(measure(`${name}, cut`, truncations(bytes), read));
  const count = bytes.length > LARGE_BYTES ? LARGE_MUTATIONS : MUTATIONS;
  figures.push(measure(`${name}, altered`, mutations(bytes, count), read));
}
const tooMuch = new Uint8Array(TOO_MUCH_BYTES);
for (const { name, bytes, read, takesText } of readers) {
  if (takesText === true) continue;
  tooMuch.fill(0x20).set(bytes);
  figures.push(measure(`${name}, then 64 MiB of spaces`, [tooMuch], read));
}
figures.push(measureIma());
process.stdout.write(`${JSON.stringify(figures)}\n`);

function measure(name: string, inputs: Iterable<Uint8Array>, read: (bytes: Uint8Array) => void): BadInputFigures {
  const before = resetPeak();
  const foreign = new Set<string>();
  let [count, slowestMs] = [0, 0];
  for (const input of inputs) {
    const spent = startProcessorClock();
    const error = outcome(() => read(input));
    slowestMs = Math.max(
      slowestMs,
      leastOf(spent(), slowestMs, () => void outcome(() => read(input))),
    );
    if (error !== undefined) foreign.add(error);
    count += 1;
  }
  return { name, inputs: count, slowestMs, grewMiB: memoryMiB('VmHWM') - before, foreign: [...foreign].slice(0, 4) };
}

/** What takes long is done again: a collection of garbage comes once, and what is slow is slow each time. */
function leastOf(firstMs: number, slowestMs: number, again: () => void): number {
  let least = firstMs;
  for (let count = 0; count < REPEATS && least > slowestMs; count += 1) {
    const spent = startProcessorClock();
    again();
    least = Math.min(least, spent());
  }
  return least;
}

/** As many entries as a list may have and one more, in chunks. Its time is what so many digests take. */
function measureIma(): BadInputFigures {
  const chunk = encodeIma(...Array.from({ length: IMA_ENTRIES_IN_A_CHUNK }, (_, index) => imaNg(`/bin/${index}`)));
  const before = resetPeak();
  const ima = new ImaReplay();
  const error = outcome(() => {
    for (let taken = 0; taken < MAX_IMA_ENTRIES; taken += IMA_ENTRIES_IN_A_CHUNK) ima.push(chunk);
  });
  const { entries } = ima.state;
  const refused = outcomeCode(() => ima.push(chunk));
  const foreign = [
    ...(error === undefined ? [] : [error]),
    ...(entries === MAX_IMA_ENTRIES ? [] : [`${entries} entries were taken`]),
    ...(refused === 'limit' ? [] : [`one more is ${refused}`]),
  ];
  const grewMiB = memoryMiB('VmHWM') - before;
  return { name: 'an IMA list of a million entries', inputs: entries, slowestMs: 0, grewMiB, foreign };
}

/** What `read` throws that it must not. */
function outcome(read: () => void): string | undefined {
  try {
    read();
  } catch (error) {
    if (error instanceof ParseError || error instanceof TpmError || error instanceof EvidenceError) return undefined;
    return error instanceof Error ? `${error.name}: ${error.message}` : 'no error at all';
  }
  return undefined;
}

function outcomeCode(read: () => void): string {
  try {
    read();
    return 'taken';
  } catch (error) {
    return error instanceof ParseError ? error.code : 'refused with another error';
  }
}

function* truncations(bytes: Uint8Array): Generator<Uint8Array> {
  const step = bytes.length > LARGE_BYTES ? Math.floor(bytes.length / LARGE_TRUNCATIONS) : 1;
  for (let length = 0; length < bytes.length; length += step) yield bytes.slice(0, length);
}

/** Bits flipped, lengths made huge, parts cut out and doubled; the same ones in every run. */
function* mutations(bytes: Uint8Array, count: number): Generator<Uint8Array> {
  let state = bytes.length;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let made = 0; made < count; made += 1) {
    const [at, length] = [next(bytes.length), 1 + next(64)];
    const changed = new Uint8Array(bytes);
    if (made % 5 === 0) changed[at] = next(256);
    else if (made % 5 === 1) changed[at] = (changed[at] ?? 0) ^ (1 << next(8));
    else if (made % 5 === 2) changed.fill(next(2) === 0 ? 0xff : 0, at, at + 4);
    yield made % 5 === 3
      ? concatBytes(bytes.subarray(0, at), bytes.subarray(at + length))
      : made % 5 === 4
        ? concatBytes(bytes.subarray(0, at + length), bytes.subarray(at))
        : changed;
  }
}

/** proc(5): from here on VmHWM is what is reached from here on. Gives what is in use now. */
function resetPeak(): number {
  globalThis.gc?.();
  writeFileSync('/proc/self/clear_refs', '5');
  return memoryMiB('VmRSS');
}

function memoryMiB(field: 'VmRSS' | 'VmHWM'): number {
  const found = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(found?.[1]) / 1024;
}
