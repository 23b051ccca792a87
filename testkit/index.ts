// The public names of the test kit: a whole Ringwall of its own for tests, drills and benchmarks.
export * from './cloud-image.ts';
export * from './console.ts';
export * from './host-tpm.ts';
export * from './instance.ts';
export * from './listens-soon.ts';
export * from './plain-tpm.ts';
export * from './stolen-keys.ts';
export * from './tpm-guest.ts';
