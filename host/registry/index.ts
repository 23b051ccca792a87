// The public names of @ringwall/host/registry: images in registries, asked for as their specification says, and no byte believed.
export { listRepositories, listTags } from './catalog.ts';
export { readCredentials, type FindCredentials } from './credentials.ts';
export { openRemoteImage, type RemoteImage, type RemoteOptions } from './open-remote-image.ts';
export { RegistryError } from './registry-error.ts';
export type { SessionOptions } from './session.ts';
