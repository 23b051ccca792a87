// The public names of @ringwall/host/qemu: one machine's VMM in its jail, and its monitor.
export { cutLine, hasCard, setCard } from './card.ts';
export {
  QEMU,
  qemuArgv,
  ATTEST_PORT,
  DATA_NODE,
  encryptedNode,
  VMM_PATHS,
  type Accelerator,
  type VmmArguments,
} from './argv.ts';
export { type Extent } from './extents.ts';
export { withoutTpm } from './device-stream.ts';
export { expectDevices, goOn, prepareToSave, resumeLoaded, saveDevices } from './migration.ts';
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
  type VmmMemory,
  type VmmOptions,
  type VmmRef,
  type VmmSockets,
} from './start.ts';
export { listenForState, readState, sendState, type StateSocket } from './state-socket.ts';
export { Writes, type TrackedDisk } from './writes.ts';
