// Programs that say themselves what they were built from: of Go always, of Rust where the build asked for it.
import { ParseError } from '@ringwall/bytes';
import type { TarEntry } from '../../layers/tar-entry.ts';
import type { FactValue, Inspector, InspectorRoom } from '../../inspection/inspector.ts';
import { unread } from '../package-fact.ts';
import { isElf, parseElf } from './elf.ts';
import { goModules } from './go-build-info.ts';
import { rustCrates } from './rust-audit.ts';

/** Go links its runtime into each: a smaller one has 1 MiB. Rust's have 300 KiB. */
const MIN_PROGRAM_BYTES: number = 256 * 1024;
const ANY_EXECUTE_BIT = 0o111;

export const programInspector: Inspector = {
  id: 'programs/1',
  wants: ({ type, mode, bytes, path }) =>
    type === 'file' && (mode & ANY_EXECUTE_BIT) !== 0 && bytes >= MIN_PROGRAM_BYTES && !/\.so(?:\.|$)/.test(path)
      ? bytes
      : undefined,
  inspect,
};

function inspect(entry: TarEntry, bytes: Uint8Array, room: InspectorRoom): readonly FactValue[] {
  if (!isElf(bytes)) return [];
  // The list of sections stands at the end.
  if (bytes.length < entry.bytes)
    return [unread(`${entry.path} is a program of ${entry.bytes} bytes, of which ${bytes.length} were read`)];
  try {
    const elf = parseElf(bytes);
    return [...goModules(elf), ...rustCrates(elf, room)];
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return [unread(`${entry.path}: ${error.message}`)];
  }
}
