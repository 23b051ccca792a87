// A thread of a crew: does what it is told, one order after the other.
import { parentPort } from 'node:worker_threads';
import { copyLane } from '../memory/copy-lane.ts';
import { laneOf } from '../seal/lanes.ts';
import { Relay, Stopped } from '../seal/relay.ts';
import type { CrewOrder } from './crew-order.ts';
import { failureOf, type Failure } from './failure.ts';

const port = parentPort;
if (port === null) throw new Error('is a thread of a crew');
port.on('message', (order: CrewOrder) => port.postMessage(perform(order)));

function perform(order: CrewOrder): Failure | undefined {
  try {
    if (order.kind === 'copy' || order.kind === 'digest') copyLane(order);
    else {
      const lane = laneOf(order);
      while (lane.step());
    }
    return undefined;
  } catch (error) {
    if (order.kind === 'seal' || order.kind === 'open') new Relay(order.relay).fail();
    return error instanceof Stopped ? undefined : failureOf(error);
  }
}
