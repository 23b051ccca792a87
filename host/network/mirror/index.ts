// The public names of @ringwall/host/network/mirror.
export { IDS_INTERFACE, setMirror, type Mirror } from './mirror.ts';
