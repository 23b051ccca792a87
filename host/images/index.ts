// The public names of @ringwall/host/images: images that lie in files and folders, and their layers, read on all cores.
export { inspectFolder } from './inspect-folder.ts';
export { openLayerReader, type InspectOptions, type LayerReader } from './inspect-layers.ts';
export type { StoredImage } from './image-in-store.ts';
export { openImage, type OpenedImage, type OpenImageOptions } from './open-image.ts';
export { hostFinishers } from './finishers.ts';
