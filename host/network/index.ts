// The public names of @ringwall/host/network: namespaces of tenant networks, cables in them, and the walls between those.
export { brokenCables, cableCommands, cableIndexes, connectCables, cutCable, type BrokenCable } from './cables.ts';
export { endConnections, type Beginning } from './connections.ts';
export {
  closeNamespace,
  inNamespace,
  isNamespace,
  openNamespace,
  openRouter,
  pinNamespace,
  type NamespaceRun,
} from './namespace.ts';
export { readSiteCounts, type CableCount, type SiteCounts } from './counts.ts';
export { brokenGateways, connectGateways } from './gateways.ts';
export { readHostRanges, readOwnRanges } from './host-ranges.ts';
export { applyBatch, listRules } from './nft.ts';
export { tapLauncher, tapName } from './tap.ts';
export { limitReceiving, notLimited, receivingCommands, type Sharer } from './shares/receive.ts';
export { compileSniffer, MAX_FILTER_CHARACTERS, sniff, type SniffOrder } from './watch/sniffer.ts';
export { StandingRules, Walls, type WallState } from './walls.ts';
