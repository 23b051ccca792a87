// The public names of @ringwall/control/broker: it judges evidence, holds disk keys, and releases them to TPMs only.
export { Broker, type BrokerOptions } from './broker.ts';
export { serveBroker, type RunningBroker } from './serve.ts';
