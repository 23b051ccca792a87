// Lines of `ringwall disk ls`: like ls -l, with whatever a disk may name made harmless.
import type { DirectoryEntry, FileKind, FileNode } from '@ringwall/disk';
import { formatTime } from '../quantities.ts';
import { renderTable, type Cell } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { shownName } from './file-names.ts';

const KIND_LETTERS: Readonly<Record<FileKind, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  'character-device': 'c',
  'block-device': 'b',
  fifo: 'p',
  socket: 's',
};

export interface ListedFile {
  readonly name: string;
  readonly kind: FileKind;
  readonly size: number;
  readonly mode: string | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly modifiedAt: string;
  readonly target?: string;
}

export function describeEntry({ name, node }: Pick<DirectoryEntry, 'name' | 'node'>): ListedFile {
  return describeNode(name, node());
}

export function describeNode(name: string, node: FileNode): ListedFile {
  const { kind, size, permissions, uid, gid, modifiedAt } = node;
  return {
    name,
    kind,
    size,
    mode: permissions?.toString(8).padStart(4, '0'),
    uid,
    gid,
    // Beyond what a Date can hold is a time that nobody set.
    modifiedAt: new Date(Math.abs(modifiedAt) > 8.64e15 ? 0 : modifiedAt).toISOString(),
    ...(kind === 'symlink' ? { target: node.target() } : {}),
  };
}

export function renderListing(files: readonly ListedFile[], terminal: Terminal): string[] {
  const rows = files.map(({ name, kind, size, mode, uid, gid, modifiedAt, target }): Cell[] => [
    { text: `${KIND_LETTERS[kind]}${mode === undefined ? '?' : lettersOf(Number.parseInt(mode, 8))}` },
    { text: `${uid === undefined ? '-' : String(uid)}:${gid === undefined ? '-' : String(gid)}` },
    { text: String(size) },
    { text: formatTime(modifiedAt), style: 'dim' },
    {
      text: `${shownName(name)}${target === undefined ? '' : ` -> ${shownName(target)}`}`,
      ...(kind === 'directory' ? { style: 'bold' as const } : {}),
    },
  ]);
  return renderTable(
    terminal,
    [
      { title: 'MODE' },
      { title: 'OWNER' },
      { title: 'BYTES', align: 'right' },
      { title: 'CHANGED' },
      { title: 'NAME' },
    ],
    rows,
  );
}

/** As ls writes them: rwsr-xr-t. */
function lettersOf(permissions: number): string {
  const triple = (shift: number, special: number, set: string, unset: string): string => {
    const bits = (permissions >> shift) & 7;
    const execute = (bits & 1) !== 0;
    const last = (permissions & special) === 0 ? (execute ? 'x' : '-') : execute ? set : unset;
    return `${(bits & 4) === 0 ? '-' : 'r'}${(bits & 2) === 0 ? '-' : 'w'}${last}`;
  };
  return triple(6, 0o4000, 's', 'S') + triple(3, 0o2000, 's', 'S') + triple(0, 0o1000, 't', 'T');
}
