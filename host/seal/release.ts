// Memory that is given back by hand. Pieces of a chunk come and go by the thousand, and what they hold lies outside of the heap: the
// garbage collector, which does not see it grow, would come too late or all the time.

/** At once: the next piece takes the same memory, which the core still has in its cache. */
export function release({ buffer, length }: Uint8Array): void {
  // One that shares its memory with others keeps it.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}
