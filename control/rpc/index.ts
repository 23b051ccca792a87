// The public names of @ringwall/control/rpc: JSON requests in lines over Unix sockets, between Ringwall's processes.
export { carry } from './carry.ts';
export { LineClient, type CallOptions, type ClientOptions } from './client.ts';
export { LineError, LineSplitter } from './lines.ts';
export { SOCKET_PATH_LIMIT_BYTES } from './listen.ts';
export { parseStrict, quoted, type Parsed, type Schema, type SchemaOutput } from './schema.ts';
export {
  DEFAULT_RPC_LIMITS,
  serveLines,
  type CallContext,
  type LineServer,
  type Progress,
  type RpcLimits,
  type ServeOptions,
} from './server.ts';
