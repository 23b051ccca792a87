// The public names of @ringwall/disk/node: what only Node can give.
export { nodeCodecs } from './codecs.ts';
export { FileSource } from './file-source.ts';
