// The public names of @ringwall/host/network/egress: the edge of this host, by which its networks go out.
export { Edge, type EdgeCounts, type EdgePlace, type EdgeWanted, type NetworkOut } from './edge.ts';
