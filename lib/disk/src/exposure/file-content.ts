// What rules see of a file: its size and the beginning of its contents. Enough to recognise a kind, bounded however large
// the file is.
import type { FileNode } from '../filesystems/file-system.ts';

/** Private keys, token files and configurations are far smaller; of a larger file the beginning is enough. */
export const HEAD_BYTES: number = 64 * 1024;

export class FileContent {
  readonly size: number;
  readonly head: Uint8Array;
  #text: string | undefined;

  constructor(size: number, head: Uint8Array) {
    this.size = size;
    this.head = head;
  }

  /** Throws `ParseError` or `DiskError` where the file system is damaged there. */
  static of(node: FileNode): FileContent {
    const source = node.open();
    return new FileContent(source.size, source.read(0, Math.min(source.size, HEAD_BYTES)));
  }

  /** The beginning, one character for each byte: enough for the ASCII that rules look for, whatever the encoding. */
  get text(): string {
    this.#text ??= new TextDecoder('latin1').decode(this.head);
    return this.#text;
  }

  startsWith(bytes: readonly number[], at = 0): boolean {
    return bytes.every((byte, index) => this.head[at + index] === byte);
  }
}
