// The lane that does a job's kind of work.
import type { Lane, LaneJob } from './jobs.ts';
import { OpeningLane } from './opening-lane.ts';
import { SealingLane } from './sealing-lane.ts';

export function laneOf(job: LaneJob): Lane {
  return job.kind === 'seal' ? new SealingLane(job) : new OpeningLane(job);
}
