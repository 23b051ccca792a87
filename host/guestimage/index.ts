// The public names of @ringwall/host/guestimage: building images, reading them, predicting what they measure.
export { buildImage, KNOWN_IMAGES, type BuildOptions, type BuildProgress } from './build.ts';
export { commandLine, type CommandLineParts } from './command-line.ts';
export { writeCpio, type CpioEntry } from './cpio.ts';
export { FIRMWARE_CODE, FIRMWARE_VARS, readFirmware, type FirmwareFiles } from './firmware.ts';
export { initializePei, unpackVolumes, type PlatformInfoLayout } from './firmware-volumes.ts';
export { guestDirectory, guestScriptsDigest } from './guest-scripts.ts';
export { checkImage, readImage, type Image } from './image.ts';
export {
  IMAGE_FILES,
  imageDigest,
  imageParts,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  parseManifest,
  renderManifest,
  type ImageFile,
  type ImageFileName,
  type ImageManifest,
  type ImageSource,
} from './manifest.ts';
export { predictImage, type PredictedBoot, type PredictOptions } from './predict.ts';
