// The public names of @ringwall/host/disk: a disk image made a sparse raw file, on all cores; disks that the VMM encrypts,
// made, written and read back.
export { convertImage, type ConvertOptions, type Converted } from './convert.ts';
export { createLuksFile, LUKS_FILE, serveLuksFile, type LuksFileOptions, type LuksServer } from './luks-file.ts';
export { isOurLuksHeader, LUKS_FIELDS_BYTES, LUKS_HEADER_BYTES, makeLuksHeader } from './luks-header.ts';
export { NbdClient } from './nbd-client.ts';
export { readBack, type ReadBackOptions } from './read-back.ts';
export { readExactly, StreamEndedError } from './read-exactly.ts';
