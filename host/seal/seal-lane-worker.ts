// A thread with one lane of `sealFiles()` or `openFiles()`: works until nothing is left.
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '../threads/failure.ts';
import type { LaneJob } from './jobs.ts';
import { laneOf } from './lanes.ts';
import { Relay, Stopped } from './relay.ts';

const port = parentPort;
if (port === null) throw new Error('is a thread of sealFiles() or openFiles()');
work(workerData);

function work(job: LaneJob): void {
  try {
    const lane = laneOf(job);
    while (lane.step());
  } catch (error) {
    new Relay(job.relay).fail();
    if (!(error instanceof Stopped)) port?.postMessage(failureOf(error));
  }
}
