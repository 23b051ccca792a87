// Memory of machines: shared by threads, and copied while a machine runs.
export { MemoryCopy, type DigestedCopy, type MemoryCopyOptions } from './memory-copy.ts';
export { MemoryTemplate, TEMPLATE_MAPPING, type MemoryTemplateOptions } from './memory-template.ts';
export type { PageDigests } from './page-digests.ts';
export { makeSharedMemory, sharedMemoryOf, viewsOf, type SharedMemory } from './shared-memory.ts';
