// Sealed objects in files, with all cores; and what packs their chunks.
export { compressChunkAside } from './compression.ts';
export { openFiles, type OpenedFiles, type OpenFilesOptions, type OpenTarget } from './open-files.ts';
export { sealFiles, type SealedFiles, type SealFilesOptions, type SealSource } from './seal-files.ts';
