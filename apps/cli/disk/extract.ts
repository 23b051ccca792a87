// Writes files from a disk into a directory of this machine. The disk is hostile: its names and links decide nothing here.
// Every file and directory is made anew under a directory that we made, so that no link of the disk is ever followed; a
// link is made only where it cannot lead out.
import { closeSync, fchmodSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { ParseError } from '@ringwall/bytes';
import { dataWithin, DiskError, encodeFileName, type FileNode } from '@ringwall/disk';
import { shownName } from './file-names.ts';

/** Read and written at once. */
const CHUNK_BYTES = 1024 * 1024;
/** PATH_MAX: deeper than that no program opens anything. */
const MAX_DEPTH = 2000;
/** Of what was left out, this many are named; the others are counted. */
const MAX_NAMED = 1000;

export interface Extraction {
  files: number;
  directories: number;
  links: number;
  bytes: number;
  /** Named at most `MAX_NAMED` times. */
  readonly leftOut: { readonly path: string; readonly reason: string }[];
  leftOutCount: number;
}

export interface ExtractOptions {
  readonly onFile?: (path: string) => void;
}

/** `target` must not exist yet. Throws `RingwallError` where this machine is the reason; what the disk lacks is left out. */
export function extractTree(node: FileNode, target: string, { onFile }: ExtractOptions = {}): Extraction {
  const done: Extraction = { files: 0, directories: 0, links: 0, bytes: 0, leftOut: [], leftOutCount: 0 };
  const seen = new Set<number>();

  const leaveOut = (names: readonly string[], reason: string): void => {
    done.leftOutCount += 1;
    if (done.leftOut.length < MAX_NAMED) done.leftOut.push({ path: names.map(shownName).join('/'), reason });
  };

  const visit = (each: FileNode, names: readonly string[], path: Buffer): void => {
    onFile?.(names.map(shownName).join('/'));
    switch (each.kind) {
      case 'directory':
        directory(each, names, path);
        break;
      case 'file':
        done.bytes += writeFile(each, path);
        done.files += 1;
        break;
      case 'symlink': {
        const to = each.target();
        if (leadsOut(to, names.length - 1)) return leaveOut(names, `a link to ${shownName(to)}, which leads out`);
        symlinkSync(Buffer.from(encodeFileName(to)), path);
        done.links += 1;
        break;
      }
      case 'block-device':
      case 'character-device':
      case 'fifo':
      case 'socket':
        leaveOut(names, `a ${each.kind}`);
    }
  };

  const directory = (each: FileNode, names: readonly string[], path: Buffer): void => {
    if (seen.has(each.id)) return leaveOut(names, 'a directory that holds itself');
    if (names.length > MAX_DEPTH) return leaveOut(names, `deeper than ${String(MAX_DEPTH)} directories`);
    seen.add(each.id);
    mkdirSync(path, { mode: 0o700 });
    done.directories += 1;
    for (const entry of each.entries()) {
      const inside = [...names, entry.name];
      if (!isOneName(entry.name)) {
        leaveOut(inside, 'a name that is a path');
        continue;
      }
      const place = Buffer.concat([path, Buffer.from('/'), encodeFileName(entry.name)]);
      try {
        visit(entry.node(), inside, place);
      } catch (error) {
        if (error instanceof ParseError || error instanceof DiskError) leaveOut(inside, error.message);
        else if (codeOf(error) === 'EEXIST') leaveOut(inside, 'a second entry of the same name');
        else if (codeOf(error) === 'ENAMETOOLONG') leaveOut(inside, 'a path longer than this machine can have');
        else throw error;
      }
    }
  };

  try {
    visit(node, [], Buffer.from(target));
  } catch (error) {
    throw explained(error, target);
  }
  return done;
}

/** Holes stay holes. Set-user-id, set-group-id and owners are those of nobody here. */
function writeFile(node: FileNode, path: Buffer): number {
  const source = node.open();
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    ftruncateSync(descriptor, source.size);
    for (let at = 0; at < source.size;) {
      const data = dataWithin(source, at, source.size - at);
      if (data === undefined) break;
      const [offset, length] = [at + data.offset, Math.min(data.length, CHUNK_BYTES)];
      writeAll(descriptor, source.read(offset, length), offset);
      at = offset + length;
    }
    fchmodSync(descriptor, (node.permissions ?? 0o644) & 0o777);
  } finally {
    closeSync(descriptor);
  }
  return source.size;
}

function writeAll(descriptor: number, bytes: Uint8Array, offset: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
}

/**
 * Whether a link in a directory `depth` below the top may lead out. `..` counts only at the beginning: behind a name it
 * could follow another link, of which nobody knows here how deep that leads.
 */
export function leadsOut(target: string, depth: number): boolean {
  if (target === '' || target.startsWith('/')) return true;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const ups = parts.findIndex((part) => part !== '..');
  const leading = ups < 0 ? parts.length : ups;
  return leading > depth || parts.slice(leading).includes('..');
}

function isOneName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function explained(error: unknown, target: string): unknown {
  const code = codeOf(error);
  const cause = { cause: error };
  if (code === 'EEXIST')
    return new RingwallError('conflict', `${target} is there already`, { hint: 'name a new directory', ...cause });
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new RingwallError('host-full', `no room is left for ${target}`, {
      hint: 'what was written so far stays there',
      ...cause,
    });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
    return new RingwallError('bad-request', `${target} cannot be made`, {
      hint: 'name a directory where you may write',
      ...cause,
    });
  return error;
}
