// The public names of @ringwall/host/images: images that lie in files and folders, and their layers, read on all cores.
export { inspectFolder } from './inspect-folder.ts';
export { openLayerReader, type InspectOptions, type LayerReader } from './inspect-layers.ts';
export type { AttachmentStore, CopiedAttachment } from './attachment-store.ts';
export { COSIGN_KIND, COSIGN_KINDS, REF_NAME } from './layout-annotations.ts';
export { digestOf, memoryBlob, readBlob, type Blob } from './blob.ts';
export { openStoredImage, type CheckedDocument, type StoredImage, type StoreOptions } from './image-in-store.ts';
export { namesOfImages, openImage, type OpenedImage, type OpenImageOptions } from './open-image.ts';
export { finishersOfEachLayer, hostFinishers, hostScanner } from './finishers.ts';
export { openSampling } from './sampling.ts';
export { openRootTar } from './open-root-tar.ts';
export { writeLayout, type WriteOptions } from './write-layout.ts';
export { addToCatalogue, readCatalogue } from './catalogue.ts';
export { inspectFileSystem } from './inspect-file-system.ts';
export { openVerdictCache, type JudgedImage, type VerdictCache } from './verdict-cache.ts';
