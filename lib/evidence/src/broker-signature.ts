// Under each word of a broker: its key, and its signature over everything else.
import { POINT_BYTES, SIGNATURE_BYTES } from './signer.ts';
import type { ClosedObject } from './json.ts';

export interface BrokerSignature {
  /** X and Y. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

export function readBroker(object: ClosedObject): BrokerSignature {
  const broker = {
    publicKey: object.hexBytes('publicKey', POINT_BYTES),
    signature: object.hexBytes('signature', SIGNATURE_BYTES),
  };
  object.end();
  return broker;
}
