// The public names of the test kit: a whole Ringwall of its own for tests, drills and benchmarks.
export * from './console.ts';
export * from './instance.ts';
