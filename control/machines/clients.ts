// The two processes that the daemon asks: the warden for effects, the broker for judgement. The daemon decides only.
import { BROKER_LINE_LIMIT_BYTES, type BrokerRequest, brokerResponseSchemas } from '@ringwall/api/broker';
import { WARDEN_LINE_LIMIT_BYTES, type WardenRequest, wardenResponseSchemas } from '@ringwall/api/warden';
import { LineClient } from '../rpc/index.ts';

export type WardenClient = Pick<LineClient<WardenRequest, typeof wardenResponseSchemas>, 'call' | 'openStream'>;
export type BrokerClient = Pick<LineClient<BrokerRequest, typeof brokerResponseSchemas>, 'call' | 'openStream'>;

/** Right for one that does not run, for one that hangs, and for somebody else on its socket, whom `down` names. */
export const WARDEN_HINT =
  'restart it: ringwall down, then ringwall up, or systemctl restart ringwall-warden; machines go on meanwhile';

export function connectWarden(path: string): WardenClient {
  return new LineClient<WardenRequest, typeof wardenResponseSchemas>({
    path,
    responseSchemas: wardenResponseSchemas,
    lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
    peer: 'the warden',
    unavailable: 'warden-unavailable',
    hint: WARDEN_HINT,
  });
}

export function connectBroker(path: string): BrokerClient {
  return new LineClient<BrokerRequest, typeof brokerResponseSchemas>({
    path,
    responseSchemas: brokerResponseSchemas,
    lineLimitBytes: BROKER_LINE_LIMIT_BYTES,
    peer: 'the broker',
    unavailable: 'broker-unavailable',
    hint: 'restart it: ringwall down, then ringwall up, or systemctl restart ringwall-broker; machines that run go on',
  });
}
