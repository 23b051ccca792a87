// The public names of @ringwall/host/network: namespaces of tenant networks, cables in them, and the walls between those.
export { brokenCables, cableCommands, cableIndexes, connectCables, cutCable, type BrokenCable } from './cables.ts';
export {
  closeNamespace,
  inNamespace,
  isNamespace,
  openNamespace,
  pinNamespace,
  type NamespaceRun,
} from './namespace.ts';
export { readHostRanges } from './host-ranges.ts';
export { applyBatch, listRules } from './nft.ts';
export { tapLauncher, tapName } from './tap.ts';
export { limitReceiving, readOverShare, receivingCommands, type Sharer } from './shares/receive.ts';
export { compileSniffer, MAX_FILTER_CHARACTERS, sniff, type SniffOrder } from './watch/sniffer.ts';
export { Walls, type WallState } from './walls.ts';
