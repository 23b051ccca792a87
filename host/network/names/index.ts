// The public names of @ringwall/host/network/names: the server of addresses and names of a network.
export { domainOf, type NamesWanted } from './compile.ts';
export { NamesServer, type NamesChange, type NamesPlace } from './server.ts';
