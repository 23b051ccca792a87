// The public names of @ringwall/host/disk: a disk image made a sparse raw file, on all cores.
export { convertImage, type ConvertOptions, type Converted } from './convert.ts';
