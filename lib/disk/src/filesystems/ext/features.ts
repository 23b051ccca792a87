// Feature words of an ext superblock (Linux Documentation/filesystems/ext4, "The Super Block"), under their names there.

export const COMPAT = {
  has_journal: 0x4,
  dir_index: 0x20,
  sparse_super2: 0x200,
  fast_commit: 0x400,
  orphan_file: 0x1000,
} as const;

export const INCOMPAT = {
  compression: 0x1,
  filetype: 0x2,
  recover: 0x4,
  journal_dev: 0x8,
  meta_bg: 0x10,
  extents: 0x40,
  '64bit': 0x80,
  mmp: 0x100,
  flex_bg: 0x200,
  ea_inode: 0x400,
  dirdata: 0x1000,
  csum_seed: 0x2000,
  largedir: 0x4000,
  inline_data: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const;

export const RO_COMPAT = {
  sparse_super: 0x1,
  large_file: 0x2,
  btree_dir: 0x4,
  gdt_csum: 0x10,
  bigalloc: 0x200,
  metadata_csum: 0x400,
  verity: 0x8000,
} as const;

/** What a reader must understand, and this one does. */
export const READ_INCOMPAT: number =
  INCOMPAT.filetype |
  INCOMPAT.recover |
  INCOMPAT.meta_bg |
  INCOMPAT.extents |
  INCOMPAT['64bit'] |
  INCOMPAT.mmp |
  INCOMPAT.flex_bg |
  INCOMPAT.ea_inode |
  INCOMPAT.dirdata |
  INCOMPAT.csum_seed |
  INCOMPAT.largedir |
  INCOMPAT.inline_data |
  INCOMPAT.encrypt |
  INCOMPAT.casefold;

/** What ext3 already had: anything beyond makes a file system ext4, as blkid has it. */
export const EXT3_INCOMPAT: number = INCOMPAT.filetype | INCOMPAT.recover | INCOMPAT.meta_bg;
export const EXT3_RO_COMPAT: number = RO_COMPAT.sparse_super | RO_COMPAT.large_file | RO_COMPAT.btree_dir;

/** i_flags of an inode. */
export const INODE_FLAGS = {
  encrypt: 0x800,
  index: 0x1000,
  extents: 0x80000,
  verity: 0x100000,
  ea_inode: 0x200000,
  inline_data: 0x10000000,
  casefold: 0x40000000,
} as const;
