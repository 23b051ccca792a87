// The public names of @ringwall/seal/engine: what whoever seals and opens with threads and ciphers of their own builds upon, so that
// the format stays here.
export { Blake3 } from './blake3/hasher.ts';
export { ByteReader } from './byte-reader.ts';
export { judgeEnd } from './end.ts';
export { DIGEST_BYTES, LEAF, MerkleTree, TREE_BYTES } from './merkle-tree.ts';
export { beginObject, openHead, type ObjectKeys } from './object-head.ts';
export { packPages, runsOf, unpackPages, type Run } from './pages.ts';
export {
  END_BYTES,
  parseHeader,
  RECORD_HEADER_BYTES,
  RecordFrame,
  renderHeader,
  TAG_BYTES,
  type RecordHeader,
  type RecordParameters,
  type RecordType,
} from './records.ts';
export { emptinessOf, recordTypeOf } from './sealing.ts';
export { altered, type StoredRecord } from './stored-records.ts';
