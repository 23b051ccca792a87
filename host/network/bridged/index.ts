// The public names of @ringwall/host/network/bridged: a network whose machines share a segment.
export { brokenPorts, connectSegment, keepApart } from './segment.ts';
