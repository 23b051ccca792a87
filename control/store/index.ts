// The public names of control/store.
export { type BootRecord, EVENTS_PAGE, type MachineChange, type NewEvent, Store } from './store.ts';
export type { Card, NetworkChange, NewCard, TakenAddresses } from './networks.ts';
