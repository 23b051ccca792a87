// The public names of @ringwall/host/network: namespaces of tenant networks, cables in them, and the walls between those.
export { cableCommands, connectCables, cutCable } from './cables.ts';
export { closeNamespace, inNamespace, openNamespace, pinNamespace, type NamespaceRun } from './namespace.ts';
export { applyBatch, listRules } from './nft.ts';
export { Walls, type WallState } from './walls.ts';
