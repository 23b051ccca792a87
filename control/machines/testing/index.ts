// The public names of control/machines/testing, for tests of this package and of the daemon.
export { FakeBroker } from './fake-broker.ts';
export { FakeWarden } from './fake-warden.ts';
export { QUICK_TIMING } from './quick-timing.ts';
export { World } from './world.ts';
