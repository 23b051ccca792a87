// Sealed objects in files, with all cores.
export { openFiles, type OpenedFiles, type OpenFilesOptions, type OpenTarget } from './open-files.ts';
export { sealFiles, type SealedFiles, type SealFilesOptions, type SealSource } from './seal-files.ts';
