// The public names of @ringwall/host/witness.
export { startWitness, WITNESS_PORT_NAME, type StartedWitness, type WitnessOptions } from './start.ts';
