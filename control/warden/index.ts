// The public names of @ringwall/control/warden: the decisions of the one process that is root.
export { imageDir, layoutOf, machineLayout, type Layout, type MachineLayout } from './layout.ts';
export { type JailedProcess, type RunningBoot } from './records.ts';
export { RequestLog, type RequestLine } from './request-log.ts';
export { SWEEP_INTERVAL_MS, Warden, type WardenCall, type WardenOptions } from './warden.ts';
export { openVmmSocket } from './vmm-socket.ts';
export type {
  Accelerator,
  BootOrder,
  BuiltImage,
  HostPart,
  ImagePart,
  JailPart,
  ProgressListener,
  TpmPart,
  VmmPart,
  WardenParts,
} from './parts.ts';
