// A file system in memory, for tests of what is decided about files: a tree of text, by path.
import { DiskError } from '../src/disk-error.ts';
import type { DeletedFile, DirectoryEntry, FileKind, FileNode, FileSystem } from '../src/filesystems/file-system.ts';
import { wrongKind } from '../src/filesystems/node-kind.ts';
import { memorySource } from '../src/source/byte-source.ts';

export type MemoryContents = string | Uint8Array | { readonly link: string } | { readonly broken: Error };

export interface MemoryOptions {
  readonly kind?: FileSystem['kind'];
  readonly deleted?: readonly { readonly name?: string; readonly contents: string }[];
  /** Entries say no kinds, as some file systems' directories do. */
  readonly withoutKinds?: boolean;
}

export function memoryFileSystem(
  files: Readonly<Record<string, MemoryContents>>,
  options: MemoryOptions = {},
): FileSystem {
  const root = new MemoryNode('directory', undefined, options.withoutKinds === true);
  for (const [path, contents] of Object.entries(files)) {
    const names = path.split('/').filter((name) => name !== '');
    const last = names.pop() ?? '';
    let directory = root;
    for (const name of names) directory = directory.child(name);
    directory.children.set(last, nodeOf(contents));
  }
  return {
    kind: options.kind ?? 'ext4',
    label: '',
    uuid: '',
    size: 0,
    root,
    *deletedFiles(): Iterable<DeletedFile> {
      for (const { name, contents } of options.deleted ?? [])
        yield { name, node: nodeOf(contents), overwrittenBlocks: 0 };
    },
  };
}

/** A directory that holds itself. */
export function loopedFileSystem(): FileSystem {
  const fs = memoryFileSystem({ '/a/b': '' });
  const a = fs.root.lookup('a');
  if (a instanceof MemoryNode) a.children.set('again', a);
  return fs;
}

let lastId = 0;

class MemoryNode implements FileNode {
  readonly id: number = (lastId += 1);
  readonly kind: FileKind;
  readonly children: Map<string, MemoryNode> = new Map();
  readonly permissions = 0o600;
  readonly uid = 0;
  readonly gid = 0;
  readonly links = 1;
  readonly modifiedAt = 0;
  readonly contents: MemoryContents | undefined;
  readonly withoutKinds: boolean;

  constructor(kind: FileKind, contents: MemoryContents | undefined, withoutKinds: boolean) {
    this.kind = kind;
    this.contents = contents;
    this.withoutKinds = withoutKinds;
  }

  get size(): number {
    return this.kind === 'file' ? this.#bytes().length : 0;
  }

  child(name: string): MemoryNode {
    const child = this.children.get(name) ?? new MemoryNode('directory', undefined, this.withoutKinds);
    this.children.set(name, child);
    return child;
  }

  *entries(): Iterable<DirectoryEntry> {
    if (this.kind !== 'directory') throw wrongKind(this.kind, 'directory');
    for (const [name, node] of this.children) {
      yield { name, kind: this.withoutKinds ? undefined : node.kind, id: node.id, node: () => node };
    }
  }

  lookup(name: string): FileNode | undefined {
    return this.children.get(name);
  }

  open(): ReturnType<FileNode['open']> {
    if (this.kind !== 'file') throw wrongKind(this.kind, 'file');
    return memorySource(this.#bytes());
  }

  target(): string {
    if (typeof this.contents === 'object' && 'link' in this.contents) return this.contents.link;
    throw wrongKind(this.kind, 'symlink');
  }

  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    return new Map();
  }

  #bytes(): Uint8Array {
    const { contents } = this;
    if (contents instanceof Uint8Array) return contents;
    if (typeof contents === 'string') return new TextEncoder().encode(contents);
    if (contents !== undefined && 'broken' in contents) throw contents.broken;
    throw new DiskError('wrong-kind', 'no file');
  }
}

function nodeOf(contents: MemoryContents): MemoryNode {
  const isLink = typeof contents === 'object' && 'link' in contents;
  return new MemoryNode(isLink ? 'symlink' : 'file', contents, false);
}
