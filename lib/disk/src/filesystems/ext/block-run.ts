// What both maps of an ext file answer: blocks of the file that lie together.

/** `length` blocks of the file from block `first` on lie from block `start` of the disk on; undefined is a hole. */
export interface BlockRun {
  readonly first: number;
  readonly length: number;
  readonly start: number | undefined;
}
