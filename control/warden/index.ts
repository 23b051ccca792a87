// The public names of @ringwall/control/warden: the decisions of the one process that is root.
export { predictBootOf, readRuntimeFiles, recordImage, settleImage, type ExpectedImage } from './expected-image.ts';
export {
  diskLayout,
  expectedDir,
  imageDir,
  layoutOf,
  machineLayout,
  networkLayout,
  type DiskLayout,
  type Layout,
  type MachineLayout,
} from './layout.ts';
export { type JailedProcess, type RunningBoot } from './records.ts';
export { RequestLog, type RequestLine } from './request-log.ts';
export { MAX_DEVICES_BYTES } from './snapshot-contents.ts';
export { SWEEP_INTERVAL_MS, Warden, type WardenCall, type WardenOptions } from './warden.ts';
export { connectToVmm, openVmmSocket } from './vmm-socket.ts';
export type {
  Accelerator,
  BootOrder,
  BootToPredict,
  BuiltImage,
  DiskPart,
  HostPart,
  HostTpmPart,
  ImagePart,
  JailPart,
  NetworkPart,
  CopyMachineOrder,
  DiskExtents,
  NetworkSite,
  MachineCopy,
  MachineTemplate,
  SaveOrder,
  SavedCard,
  SavedState,
  TemplateOrder,
  Prediction,
  ProgressListener,
  TpmPart,
  VmmPart,
  WardenParts,
} from './parts.ts';
