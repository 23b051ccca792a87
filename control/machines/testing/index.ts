// The public names of control/machines/testing, for tests of this package and of the daemon.
export { FakeBroker, FakeWarden, QUICK_TIMING } from './fakes.ts';
export { World } from './world.ts';
