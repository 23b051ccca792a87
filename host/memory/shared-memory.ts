// Memory that threads of this process share, of any size: in segments, since an engine bounds what one array may be. What nobody has
// written to takes no room.

/** A whole number of the chunks that anybody seals. */
const SEGMENT_BYTES: number = 256 * 2 ** 20;

/** All of one length, but for the last. */
export type SharedMemory = readonly SharedArrayBuffer[];

export function makeSharedMemory(bytes: number): SharedMemory {
  const count = Math.ceil(bytes / SEGMENT_BYTES);
  return Array.from(
    { length: count },
    (_, index) => new SharedArrayBuffer(Math.min(SEGMENT_BYTES, bytes - index * SEGMENT_BYTES)),
  );
}

export function sharedMemoryOf(bytes: Uint8Array): SharedMemory {
  const memory = makeSharedMemory(bytes.length);
  for (const { view, done } of viewsOf(memory, 0, bytes.length)) view.set(bytes.subarray(done, done + view.length));
  return memory;
}

/** What lies at `at`, piece by piece; `done` are the bytes before it. Nothing where the memory ends. */
export function* viewsOf(
  memory: SharedMemory,
  at: number,
  length: number,
): Generator<{ readonly view: Uint8Array; readonly done: number }, void> {
  const segmentBytes = memory[0]?.byteLength ?? 0;
  for (let done = 0; done < length;) {
    const place = at + done;
    const segment = memory[Math.floor(place / segmentBytes)];
    const offset = place % segmentBytes;
    const count = Math.min(length - done, (segment?.byteLength ?? 0) - offset);
    if (segment === undefined || count <= 0) return;
    yield { view: new Uint8Array(segment, offset, count), done };
    done += count;
  }
}
