// The public names of control/machines.
export { Approvals } from './approvals.ts';
export { Backups } from './backups.ts';
export { type BrokerClient, connectBroker, connectWarden, type WardenClient } from './clients.ts';
export { HostReports, type HostReportsParts } from './host-reports.ts';
export { readErasure } from './keys.ts';
export { Machines, type Precondition } from './machines.ts';
export { checkMachineName } from './names.ts';
export { type Operations } from './operations.ts';
export { References } from './references.ts';
export { Snapshots } from './snapshots.ts';
export { Templates } from './templates.ts';
export { Transfers } from './transfers.ts';
export { type Timing, TIMING } from './timing.ts';
export { asRingwallError } from './work.ts';
export { Worker, type WorkerOptions } from './worker.ts';
