// The public names of @ringwall/host/attest: what this host proves of itself with its own TPM.
export { answerAsHost, readHostIdentity, type HostAnswer, type HostIdentity } from './collect.ts';
export { findHostTpm, type HostTpmConfig } from './config.ts';
export { readBounded } from './read-bounded.ts';
export { describeHostFiles, type HostFiles } from './reference-files.ts';
