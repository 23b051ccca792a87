// The public names of @ringwall/host/swtpm: a machine's TPM, made once and started at each boot, in a jail of its own.
export { manufactureTpm, type ManufacturedTpm, type ManufactureOptions } from './manufacture.ts';
export { SwtpmControl } from './control-channel.ts';
export {
  openTpm,
  openWitnessedTpm,
  startTpm,
  TPM_STATE_KEY_BYTES,
  type StartedTpm,
  type StartingTpm,
  type TpmOptions,
  type WitnessedTpm,
} from './start.ts';
