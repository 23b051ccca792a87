// The public names of @ringwall/netpolicy.

export {
  addressOf,
  parseAddress,
  parseRange,
  prefixesOf,
  prefixOf,
  printRange,
  rangeHas,
  rangesOverlap,
  type Address,
  type AddressRange,
  type Family,
} from './address.ts';
export { compileBridged, type BridgedNetwork, MAX_SEGMENT_MACHINES } from './bridged.ts';
export { changeMachine, type ChangedNetwork, type ElementChange } from './change-machine.ts';
export { compileNetwork, type CompiledNetwork, type CompileOptions } from './compile.ts';
export { mergeCounts, readCounts, type Count, type DecisionCount, type NetworkCounts } from './counts.ts';
export { DROP_REASONS, LOG_GROUPS, type DropReason } from './drop-reasons.ts';
export { compileEdge, type EdgeOptions } from './edge.ts';
export {
  EDGE_GATEWAY,
  edgeAddress,
  type EdgeCable,
  edgeMac,
  edgePorts,
  isEdgeCable,
  MAX_WAYS_OUT,
  SHARED_UPLINK,
} from './edge-links.ts';
export { type Egress, neverReached, parseEgress, type Way } from './egress.ts';
export { compareNetworks, MAX_CHANGES, type Change, type Difference } from './difference.ts';
export { FINDING_KINDS, findRuleTroubles, type Finding } from './findings.ts';
export { GATEWAY_IPV4, GATEWAY_IPV6, linkOf, type LinkPrefix, UPLINK } from './gateway.ts';
export {
  type AnyMachine,
  type FarMachine,
  isFar,
  type Machine,
  MAX_MACHINES,
  parseFarMachines,
  parseMachineLabels,
  parseMachines,
} from './machine.ts';
export { mapNetwork, type MapEdge, type MapNode, type NetworkMap } from './map.ts';
export type { Labels } from './names.ts';
export { NETPOLICY_ERROR_CODES, NetPolicyError, type NetPolicyErrorCode } from './netpolicy-error.ts';
export {
  MAX_RULES,
  parsePolicy,
  printEndpoint,
  type Endpoint,
  type Network,
  type Policy,
  type Rule,
} from './policy.ts';
export {
  MAX_PEER_FILE_CHARACTERS,
  type Peer,
  type PeerKey,
  type PeerMachine,
  signPeer,
  type VerifiedPeer,
  verifyPeer,
} from './peer.ts';
export { findProtected, PRIVATE, type ProtectedRange } from './protected.ts';
export { PING6_ZONE, SWITCH_ZONE } from './openflow-decisions.ts';
export { cookieParts } from './openflow-flow.ts';
export type { Meter } from './openflow-meters.ts';
export {
  compileSwitched,
  MAX_SWITCH_MACHINES,
  type OpenFlowRules,
  renderOpenFlow,
  type SwitchedNetwork,
  type SwitchState,
} from './openflow.ts';
export { ReachModel, type Decision, type Flow, type Reason } from './reach.ts';
export { RefusedLog, type RefusedPacket } from './refused-log.ts';
export { RefusedSummary, type RefusedRow } from './refused-summary.ts';
export { renderTable, type NftCommand } from './render-nft.ts';
export type { CompiledRules, KeyPart, KeyType, Ruleset, RuleSet, Table } from './ruleset.ts';
export { atGateway, GATEWAY_MAC, gatewayOf, gatewayPortOf } from './segment-gateway.ts';
export { parseService, parseSingleService, printService, type ServiceRange } from './service.ts';
export { DEFAULT_SHARE, shareOf, type Share, type ShareRule } from './share.ts';
export { SWITCH_DEVICE, switchIndex } from './switch-log.ts';
export { TABLE } from './tables.ts';
export { renderUpdate } from './update.ts';
