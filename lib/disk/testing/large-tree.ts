// A large tree of files, as a busy system has it: tens of thousands of small ones, crowded and deep directories, names of all
// kinds, hard and symbolic links, extended attributes, a file in hundreds of pieces and one that is nearly all hole. Made once for
// all file systems, the same each time.
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { runTool } from './tools.ts';
import { textOf } from './trees.ts';

/** Files of each: the tools that make file systems look for a place for each file from the start of its directory. */
const CROWDS: readonly number[] = [2000, ...Array.from({ length: 90 }, () => 200)];
/** In `special`: each with a second name, attributes, and a symbolic link beside it. */
export const LINKED_FILES = 500;
const DEEP_LEVELS = 40;
const PIECES = 600;
const PIECE_BYTES = 4096;
/** Beyond 32 bits of bytes, and of blocks of 512 bytes beyond 2^23. */
const HUGE_BYTES = 5 * 2 ** 30 + 12_345;
/** Where the huge file has data, and how much. */
export const HUGE_DATA: readonly { readonly at: number; readonly bytes: number }[] = [
  { at: 0, bytes: 4096 },
  { at: 2 ** 31 - 2048, bytes: 8192 },
  { at: 2 ** 32 + 65_536, bytes: 20_000 },
  { at: HUGE_BYTES - 77, bytes: 77 },
];
const WHEN = 1_700_000_000;

const NAMES: readonly string[] = [
  'ä ж 漢',
  'with space',
  'ünïcödé',
  '日本語のファイル',
  'Ελληνικά',
  'עברית',
  'x'.repeat(120),
];

/** What every file system can hold, FAT included: about 20,000 files. */
export function makeLargeTree(root: string): void {
  mkdirSync(root);
  for (const [crowd, files] of CROWDS.entries()) {
    const folder = join(root, `crowd ${crowd}`);
    mkdirSync(folder);
    for (let file = 0; file < files; file += 1) {
      const name = `${NAMES[file % (NAMES.length * 9)] ?? 'file'}-${file * 7919}`;
      writeFileSync(join(folder, name), textOf(file, (file * 131) % (file % 100 === 0 ? 40_000 : 900)));
    }
  }
  const deep = join(root, ...Array.from({ length: DEEP_LEVELS }, (_, level) => `level ${level}`));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, 'bottom'), 'at the bottom');
  mkdirSync(join(root, 'special'));
  // mtools writes no letters beyond 16 bits.
  writeFileSync(join(root, 'special', '😀'), 'smiles');
  makePieces(join(root, 'special', 'pieces'));
}

/** What Unix alone keeps. */
export function addLinksAndAttributes(root: string): void {
  const crowd = join(root, 'crowd 1');
  for (let index = 0; index < LINKED_FILES; index += 1) {
    symlinkSync(`../crowd 0/target-${index}${'/long'.repeat(index % 8)}`, join(root, 'special', `symbolic-${index}`));
    writeFileSync(join(root, 'special', `linked-${index}`), textOf(index, index * 3));
    linkSync(join(root, 'special', `linked-${index}`), join(crowd, `another name of ${index}`));
  }
  setAttributes(root);
  runTool(['find', root, '-exec', 'touch', '--no-dereference', '--date', `@${WHEN}`, '{}', '+']);
  utimesSync(root, WHEN, WHEN);
}

/** Where a file system has holes: 5 GiB with some kilobytes in them. */
export function addHugeFile(root: string): void {
  const file = openSync(join(root, 'special', 'huge'), 'w');
  for (const { at, bytes } of HUGE_DATA) writeSync(file, textOf(at, bytes), 0, bytes, at);
  ftruncateSync(file, HUGE_BYTES);
  closeSync(file);
}

/** Every second block is a hole: more extents than one block of any file system's tree names. */
function makePieces(path: string): void {
  const file = openSync(path, 'w');
  for (let piece = 0; piece < PIECES; piece += 1) {
    writeSync(file, textOf(piece, PIECE_BYTES), 0, PIECE_BYTES, piece * 2 * PIECE_BYTES);
  }
  closeSync(file);
}

export function attributesOfLinked(index: number): Record<string, string> {
  const note = { 'user.note': `number ${index}` };
  return index % 5 === 0 ? { ...note, 'user.large': 'v'.repeat(100 + index) } : note;
}

/** One process for all of them. */
function setAttributes(root: string): void {
  const lines = Array.from({ length: LINKED_FILES }, (_, index) =>
    [
      `# file: ${join(root, 'special', `linked-${index}`)}`,
      ...Object.entries(attributesOfLinked(index)).map(([name, value]) => `${name}="${value}"`),
      '',
      '',
    ].join('\n'),
  );
  runTool(['setfattr', '--restore=-'], { input: lines.join('') });
}
