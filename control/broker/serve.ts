// The broker behind its socket: opens the state, listens, and closes both in the right order.
import {
  BROKER_LINE_LIMIT_BYTES,
  brokerRequestSchema,
  brokerResponseSchemas,
  type BrokerRequest,
} from '@ringwall/api/broker';
import { serveLines } from '../rpc/index.ts';
import { Broker, type BrokerOptions } from './broker.ts';

const OWNER_ONLY = 0o600;
/** Each machine that is watched has one for as long as it runs; a broker is made for 10,000. */
const MAX_CONNECTIONS = 16_384;

export interface RunningBroker {
  readonly socketPath: string;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Once this resolves, the broker answers. */
export async function serveBroker(
  options: BrokerOptions & {
    /** The broker's own directory, not the instance's. */
    readonly stateDirectory: string;
    readonly socketPath: string;
    readonly socketMode?: number;
  },
): Promise<RunningBroker> {
  const broker = await Broker.open(options.stateDirectory, options);
  try {
    const server = await serveLines<BrokerRequest>({
      path: options.socketPath,
      mode: options.socketMode ?? OWNER_ONLY,
      requestSchema: brokerRequestSchema,
      responseSchemas: brokerResponseSchemas,
      lineLimitBytes: BROKER_LINE_LIMIT_BYTES,
      limits: { connections: MAX_CONNECTIONS },
      handle: (request, call) => broker.handle(request, call),
      onDefect: (error, op) => broker.defect(error, op),
    });
    return {
      socketPath: options.socketPath,
      close: async () => {
        // First those who ask, then what they asked about.
        await server.close();
        broker[Symbol.dispose]();
      },
    };
  } catch (error) {
    broker[Symbol.dispose]();
    throw error;
  }
}
