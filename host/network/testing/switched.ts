// A network whose machines are on an Open vSwitch, in user space and jailed, to send real packets in.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '@ringwall/netpolicy';
import { lacksForJails, openBench, type Bench } from '../../jail/testing/bench.ts';
import { OPENVSWITCH_PROGRAMS, Switch, SwitchWalls } from '../openvswitch/index.ts';
import { NEEDS_PACKETS, setUpOnSegment, Testbed, type Mode } from './testbed.ts';

/** What a test that needs a switch says in its name where none can be had. */
export const NEEDS_SWITCH: string =
  NEEDS_PACKETS !== ''
    ? NEEDS_PACKETS
    : lacksForJails() !== undefined
      ? ` (${lacksForJails() ?? ''})`
      : Object.values(OPENVSWITCH_PROGRAMS).every((file) => existsSync(file))
        ? ''
        : ' (skipped: needs Open vSwitch)';

export interface Switched extends AsyncDisposable {
  readonly bench: Bench;
  readonly bed: Testbed;
  readonly own: Switch;
  readonly walls: SwitchWalls;
  /** Another life of ours, which finds what this one has left. */
  readonly later: () => Switch;
}

/** Without rules and ports: nothing passes. */
export async function openSwitched(
  name: string,
  machines: readonly Machine[],
  setUp: Mode['setUp'] = setUpOnSegment,
): Promise<Switched> {
  const bench = await openBench(name);
  const bed = await Testbed.open(machines, { connect: () => Promise.resolve(), setUp });
  const place = { id: bench.name, dir: join(bench.dir, 'switch'), namespace: bed.file, leases: bench.leases };
  const own = new Switch(bed.inside, place);
  return {
    bench,
    bed,
    own,
    walls: new SwitchWalls(bed.inside, own),
    later: () => new Switch(bed.inside, place),
    [Symbol.asyncDispose]: async () => {
      await own.close();
      await bed[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}
