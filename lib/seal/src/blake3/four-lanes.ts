// Four compressions of BLAKE3 at once, in the four lanes of WebAssembly's 128-bit vectors. The module is assembled here, instruction
// by instruction (WebAssembly 2.0, chapter 5, "Binary Format"), so that no binary has to be believed.
import { BLOCK_BYTES, DIGEST_BYTES, IV, MIXES, SCHEDULE } from './constants.ts';

export const LANES = 4;

export interface Inputs {
  /** Of the first input in memory; the others follow it at once. */
  readonly at: number;
  readonly blocks: number;
  /** How many times four. */
  readonly groups: number;
  /** Of the first input; each next one is higher by `step`, 0 or 1. */
  readonly counter: number;
  readonly step: number;
  /** Of every block, the first and the last. */
  readonly flags: readonly [all: number, first: number, last: number];
  /** Where the chaining values go, 32 bytes each. */
  readonly to: number;
}

/** Whole blocks in, chaining values out; all of them in `memory`. */
export interface FourLanes {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly compress: (inputs: Inputs) => void;
}

const PAGE_BYTES = 65_536;

/** Undefined where this engine compiles none: one without vectors, or a page whose policy forbids it. */
export function fourLanes(memoryBytes: number): FourLanes | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  try {
    const instance = new WebAssembly.Instance(compiled(), {});
    const { memory, compress } = instance.exports;
    if (!(memory instanceof WebAssembly.Memory) || typeof compress !== 'function') return undefined;
    memory.grow(Math.ceil(memoryBytes / PAGE_BYTES));
    return {
      memory: new Uint8Array(memory.buffer),
      compress: ({ at, blocks, groups, counter, step, flags: [all, first, last], to }) =>
        compress(at, blocks, groups, counter, step, all, first, last, to),
    };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return undefined;
    throw error;
  }
}

let module: WebAssembly.Module | undefined;

function compiled(): WebAssembly.Module {
  return (module ??= new WebAssembly.Module(assembled()));
}

/** Bytes, nested as it reads best. */
type Code = number | readonly Code[];

// Parameters, then locals of 32 bits, then vectors.
const [IN, BLOCKS, GROUPS, COUNTER, STEP, ALL, FIRST, LAST, OUT] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const [AT, STRIDE, LEFT, FLAGS] = [9, 10, 11, 12] as const;
const STATE = 13;
const CHAIN: number = STATE + 16;
const MESSAGE: number = CHAIN + 8;
const ROWS: number = MESSAGE + 16;
const [ROTATE_16, ROTATE_8]: readonly [number, number] = [ROWS + 4, ROWS + 5];
const [LOCALS, VECTORS]: readonly [number, number] = [4, 16 + 8 + 16 + 4 + 2];

const [I32, V128, FUNCTION, NOTHING] = [0x7f, 0x7b, 0x60, 0x40] as const;
const END = 0x0b;
const get = (local: number): Code => [0x20, unsigned(local)];
const set = (local: number): Code => [0x21, unsigned(local)];
const constant = (value: number): Code => [0x41, signed(value)];
const add: Code = [0x6a];
const subtract: Code = [0x6b];
const shiftLeft: Code = [0x74];
const or: Code = [0x72];
const select: Code = [0x1b];
const isZero: Code = [0x45];
const loop = (body: Code, again: Code): Code => [0x03, NOTHING, body, again, 0x0d, 0, END];
const vector = (opcode: number): Code => [0xfd, unsigned(opcode)];
const load = (offset: number): Code => [vector(0), 0, unsigned(offset)];
const store = (offset: number): Code => [vector(11), 0, unsigned(offset)];
const literal = (all: Code): Code => [vector(12), all];
const shuffle = (order: Code): Code => [vector(13), order];
const swizzle: Code = vector(14);
const splat: Code = vector(17);
const vectorOr: Code = vector(80);
const vectorXor: Code = vector(81);
const lanesLeft: Code = vector(171);
const lanesRight: Code = vector(173);
const lanesAdd: Code = vector(174);
const lanesMultiply: Code = vector(181);

function assembled(): Uint8Array<ArrayBuffer> {
  const type = [FUNCTION, counted(Array.from({ length: 9 }, () => [I32])), 0];
  const body = flat([
    counted([
      [unsigned(LOCALS), I32],
      [unsigned(VECTORS), V128],
    ]),
    groupsOfFour(),
    END,
  ]);
  return Uint8Array.from(
    flat([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, [type]),
      section(3, [[0]]),
      section(5, [[0, 1]]),
      section(7, [
        [name('memory'), 2, 0],
        [name('compress'), 0, 0],
      ]),
      section(10, [[unsigned(body.length), body]]),
    ]),
  );
}

function groupsOfFour(): Code {
  const eachBlock = [
    messages(),
    initialState(),
    SCHEDULE.map((order) => MIXES.map((words, index) => mix(words, order[index * 2], order[index * 2 + 1]))),
    each(8, (word) => [get(STATE + word), get(STATE + 8 + word), vectorXor, set(CHAIN + word)]),
    [get(AT), constant(BLOCK_BYTES), add, set(AT)],
    [get(LEFT), constant(1), subtract, set(LEFT)],
    // The last block has the flag of the last; another is not the first.
    [get(ALL), get(LAST), constant(0), get(LEFT), constant(1), subtract, isZero, select],
    [or, set(FLAGS)],
  ];
  const eachGroup = [
    each(8, (word) => [constant(IV[word] ?? 0), splat, set(CHAIN + word)]),
    [get(IN), set(AT), get(BLOCKS), set(LEFT)],
    [get(ALL), get(FIRST), or],
    [get(LAST), constant(0), get(BLOCKS), constant(1), subtract, isZero, select, or],
    set(FLAGS),
    loop(eachBlock, get(LEFT)),
    chainingValues(),
    [get(IN), get(STRIDE), constant(2), shiftLeft, add, set(IN)],
    [get(COUNTER), get(STEP), constant(2), shiftLeft, add, set(COUNTER)],
    [get(OUT), constant(LANES * DIGEST_BYTES), add, set(OUT)],
    [get(GROUPS), constant(1), subtract, set(GROUPS)],
  ];
  return [
    [get(BLOCKS), constant(6), shiftLeft, set(STRIDE)],
    [literal(rotated(2)), set(ROTATE_16), literal(rotated(1)), set(ROTATE_8)],
    loop(eachGroup, get(GROUPS)),
  ];
}

/** A block of each of four inputs, turned so that a vector has one word of all of them. */
function messages(): Code {
  return each(4, (quarter) => [
    each(4, (lane) => [
      [get(AT), each(lane, () => [get(STRIDE), add])],
      [load(quarter * 16), set(ROWS + lane)],
    ]),
    transposed([ROWS, ROWS + 1, ROWS + 2, ROWS + 3], MESSAGE + quarter * 4),
  ]);
}

function initialState(): Code {
  const words: readonly Code[] = [
    ...Array.from({ length: 8 }, (_, word) => get(CHAIN + word)),
    ...IV.slice(0, 4).map((word) => [constant(word), splat]),
    [
      [get(COUNTER), splat],
      literal([0, 1, 2, 3].flatMap((lane) => [lane, 0, 0, 0])),
      [get(STEP), splat, lanesMultiply, lanesAdd],
    ],
    literal(Array.from({ length: 16 }, () => 0)),
    [constant(BLOCK_BYTES), splat],
    [get(FLAGS), splat],
  ];
  return words.map((word, index) => [word, set(STATE + index)]);
}

/** G of section 2.2, on four states. */
function mix([a, b, c, d]: readonly [number, number, number, number], first = 0, second = 0): Code {
  const [sa, sb, sc, sd] = [STATE + a, STATE + b, STATE + c, STATE + d];
  const half = (word: number, turnD: Code, right: number): Code => [
    [get(sa), get(MESSAGE + word), lanesAdd, get(sb), lanesAdd, set(sa)],
    [get(sd), get(sa), vectorXor, turnD, swizzle, set(sd)],
    [get(sc), get(sd), lanesAdd, set(sc)],
    [get(sb), get(sc), vectorXor, set(sb)],
    [get(sb), constant(right), lanesRight],
    [get(sb), constant(32 - right), lanesLeft, vectorOr, set(sb)],
  ];
  return [half(first, get(ROTATE_16), 12), half(second, get(ROTATE_8), 7)];
}

function chainingValues(): Code {
  return [0, 4].map((from) => [
    transposed([CHAIN + from, CHAIN + from + 1, CHAIN + from + 2, CHAIN + from + 3], MESSAGE),
    each(4, (lane) => [get(OUT), get(MESSAGE + lane), store(lane * DIGEST_BYTES + from * 4)]),
  ]);
}

/** Four rows of four words into four columns, by way of the last four vectors of the state. */
function transposed(rows: readonly [number, number, number, number], to: number): Code {
  const low = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23];
  const high = [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31];
  const lowHalves = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
  const highHalves = [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31];
  const [a, b, c, d] = rows;
  const joined = (one: number, other: number, order: Code, into: number): Code => [
    [get(one), get(other), shuffle(order), set(into)],
  ];
  const [ab, cd, abHigh, cdHigh] = [STATE + 12, STATE + 13, STATE + 14, STATE + 15];
  return [
    joined(a, b, low, ab),
    joined(c, d, low, cd),
    joined(a, b, high, abHigh),
    joined(c, d, high, cdHigh),
    joined(ab, cd, lowHalves, to),
    joined(ab, cd, highHalves, to + 1),
    joined(abHigh, cdHigh, lowHalves, to + 2),
    joined(abHigh, cdHigh, highHalves, to + 3),
  ];
}

/** Where each byte of a word comes from that is turned right by so many bytes. */
function rotated(by: number): Code {
  return Array.from({ length: 16 }, (_, index) => (index & ~3) | ((index + by) & 3));
}

function each(count: number, code: (index: number) => Code): Code {
  return Array.from({ length: count }, (_, index) => code(index));
}

function section(id: number, items: readonly Code[]): Code {
  const contents = flat(counted(items));
  return [id, unsigned(contents.length), contents];
}

function counted(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function name(text: string): Code {
  return counted(Array.from(text, (letter) => [letter.charCodeAt(0)]));
}

function flat(code: Code): readonly number[] {
  const bytes: number[] = [];
  const append = (part: Code): void => {
    if (typeof part === 'number') bytes.push(part);
    else for (const inner of part) append(inner);
  };
  append(code);
  return bytes;
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const [byte, rest] = [value & 0x7f, value >> 7];
  const isLast = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
  return isLast ? [byte] : [byte | 0x80, signed(rest)];
}
