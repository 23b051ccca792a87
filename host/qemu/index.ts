// The public names of @ringwall/host/qemu: one machine's VMM in its jail, and its monitor.
export { qemuArgv, ATTEST_PORT, VMM_PATHS, type Accelerator, type VmmArguments } from './argv.ts';
export { setCard } from './card.ts';
export { probeAccelerator, type ProbeOptions, type ProbeResult } from './probe.ts';
export { QmpClient, QMP_LINE_LIMIT_BYTES, type QmpEvent } from './qmp.ts';
export {
  CONSOLE_LOG_NAME,
  powerDown,
  readMachineState,
  startVmm,
  vmmCgroupLimits,
  vmmSockets,
  type EncryptedDisk,
  type MachineState,
  type VmmOptions,
  type VmmRef,
  type VmmSockets,
} from './start.ts';
