// How the contents of a disk go from the command line to the warden: frames, in the order of the disk, cut into chunks of the
// size that the warden named. A frame is its kind (one byte), a number (32 bits, big-endian), and what the kind says:
//
//   start  the number of the first chunk that follows; once, as the first frame
//   data   the length of one chunk; its SHA-256, and its bytes
//   zeros  how many chunks hold nothing but zeros
//   end    0: all was said
//
// There is no image format on this way: whoever sends it has read the image, with the rights of whoever owns it.

export const FRAME = { start: 1, data: 2, zeros: 3, end: 4 } as const;
export const FRAME_HEADER_BYTES = 5;
export const CHUNK_DIGEST_BYTES = 32;

/** The protocol that a connection to a disk's import is upgraded to. */
export const IMPORT_PROTOCOL = 'ringwall-import';
