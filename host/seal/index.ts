// Sealed objects in files, with all cores; what packs their chunks, and the cipher that suits this host.
export { cipherOfProcessor } from './cipher-of-processor.ts';
export { compressChunkAside, unpackChunkAside } from './compression.ts';
export { nativeBlake3 } from './digest.ts';
export { openFiles, type OpenedFiles, type OpenFilesOptions, type OpenTarget } from './open-files.ts';
export type { Place } from './place.ts';
export { sealFiles, type SealedFiles, type SealFilesOptions, type SealSource } from './seal-files.ts';
