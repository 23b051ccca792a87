// The file system of a disk image as an image of one layer, read without mounting it (@ringwall/disk). Whoever made the disk controls
// every byte: names that are paths, and directories that hold themselves.
import { ParseError } from '@ringwall/bytes';
import { DiskError, type FileNode, type FileSystem } from '@ringwall/disk';
import {
  openEntryInspection,
  type ContentSink,
  type EntryType,
  type Inspector,
  type LayerContents,
  type TarEntry,
} from '@ringwall/oci';

const READ_BYTES: number = 1024 * 1024;
/** PATH_MAX: deeper than that no program opens anything. */
const MAX_DEPTH = 2000;

/** What is damaged in it is as not there, and told to `onUnread`. `room` says between files what to wait for. Throws OciError. */
export async function inspectFileSystem(
  { root }: FileSystem,
  inspectors: readonly Inspector[],
  onUnread: (path: string) => void,
  room: () => Promise<void> | undefined = () => undefined,
): Promise<LayerContents> {
  const inspection = openEntryInspection(inspectors);
  const seen = new Set<number>();
  const open: { readonly path: string; readonly depth: number; readonly node: () => FileNode }[] = [
    { path: '', depth: 0, node: () => root },
  ];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { path, depth } = next;
    try {
      const node = next.node();
      const sink = inspection.entry(entryOf(path, node));
      if (node.kind === 'file' && sink !== undefined) readInto(sink, node);
      if (node.kind !== 'directory') continue;
      if (seen.has(node.id) || depth > MAX_DEPTH) {
        onUnread(path);
        continue;
      }
      seen.add(node.id);
      for (const entry of node.entries()) {
        // It would be another file's path, or none.
        if (entry.name === '' || entry.name.includes('/')) onUnread(`${path}/${entry.name}`);
        else
          open.push({
            path: path === '' ? entry.name : `${path}/${entry.name}`,
            depth: depth + 1,
            node: () => entry.node(),
          });
      }
    } catch (error) {
      if (!(error instanceof DiskError || error instanceof ParseError)) throw error;
      onUnread(path);
    }
    // oxlint-disable-next-line no-await-in-loop -- nearly always there is room
    await room();
  }
  return inspection.end();
}

function readInto({ bytes, take }: ContentSink, node: FileNode): void {
  const source = node.open();
  const end = Math.min(bytes, source.size);
  for (let at = 0; at < end; at += READ_BYTES) take(source.read(at, Math.min(READ_BYTES, end - at)));
}

function entryOf(path: string, node: FileNode): TarEntry {
  const type: EntryType = node.kind === 'socket' ? 'other' : node.kind;
  return {
    path,
    type,
    mode: node.permissions ?? 0,
    uid: node.uid ?? 0,
    gid: node.gid ?? 0,
    userName: '',
    groupName: '',
    bytes: type === 'file' ? node.size : 0,
    modified: Math.trunc(node.modifiedAt / 1000),
    target: type === 'symlink' ? node.target() : '',
    // As an archive has them: one character for each byte.
    attributes: new Map(
      [...node.extendedAttributes()].map(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
    ),
    isSparse: false,
    hazards: type === 'character-device' || type === 'block-device' ? ['device'] : [],
  };
}
