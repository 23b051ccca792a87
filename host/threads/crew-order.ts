// What the threads of a crew can be told to do: docs of each lie where its work does.
import type { CopyOrder } from '../memory/copy-job.ts';
import type { LaneJob } from '../seal/jobs.ts';

export type CrewOrder = LaneJob | CopyOrder;
