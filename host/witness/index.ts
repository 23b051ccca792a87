// The public names of @ringwall/host/witness.
export { MAX_SAVED_WITNESS_BYTES } from './saved-state.ts';
export {
  startWitness,
  WITNESS_PORT_NAME,
  WITNESS_STATES_NAME,
  type StartedWitness,
  type WitnessOptions,
} from './start.ts';
export { loadWitness, saveWitness } from './state-port.ts';
