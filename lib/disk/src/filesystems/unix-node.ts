// What a node of a Unix file system shows of its inode, which ext, XFS and erofs have alike.
import type { FileKind, FileNode } from './file-system.ts';
import { wrongKind } from './node-kind.ts';

/** An inode whose fields were checked. */
export interface UnixInode {
  readonly number: number;
  readonly kind: FileKind;
  /** What its size field says: of contents, of a directory's blocks, or of a link's target. */
  readonly size: number;
  readonly permissions: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  /** Of a character or block device. */
  readonly device?: { readonly major: number; readonly minor: number };
}

type OfInode = 'id' | 'kind' | 'size' | 'permissions' | 'uid' | 'gid' | 'links' | 'modifiedAt' | 'device';

export abstract class UnixNode<Inode extends UnixInode> implements Pick<FileNode, OfInode> {
  readonly device?: { readonly major: number; readonly minor: number };
  protected readonly inode: Inode;

  constructor(inode: Inode) {
    this.inode = inode;
    if (inode.device !== undefined) this.device = inode.device;
  }

  get id(): number {
    return this.inode.number;
  }

  get kind(): FileKind {
    return this.inode.kind;
  }

  get size(): number {
    return this.inode.kind === 'file' || this.inode.kind === 'symlink' ? this.inode.size : 0;
  }

  get permissions(): number {
    return this.inode.permissions;
  }

  get uid(): number {
    return this.inode.uid;
  }

  get gid(): number {
    return this.inode.gid;
  }

  get links(): number {
    return this.inode.links;
  }

  get modifiedAt(): number {
    return this.inode.modifiedAt;
  }

  /** Throws `DiskError` (`wrong-kind`) where the node is of another kind. */
  protected expect(kind: FileKind): void {
    if (this.inode.kind !== kind) throw wrongKind(this.inode.kind, kind);
  }
}
