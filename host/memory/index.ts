// Memory of machines: shared by threads, and copied while a machine runs.
export { MemoryCopy, type MemoryCopyOptions } from './memory-copy.ts';
export { makeSharedMemory, sharedMemoryOf, viewsOf, type SharedMemory } from './shared-memory.ts';
