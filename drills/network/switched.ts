// The same three machines on an Open vSwitch: one that learns and floods, as it does by itself, and one of Ringwall's, whose flows do neither.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UidLeases } from '@ringwall/host/jail';
import { OPENVSWITCH_PROGRAMS, Switch, SwitchWalls } from '@ringwall/host/network/openvswitch';
import { compileSwitched, type DropReason } from '@ringwall/netpolicy';
import type { Attempt, DrillContext } from '../drill.ts';
import { openSegment, type Neighbourhood } from './neighbourhood.ts';

/** What `ovs-vsctl add-br` leaves a switch with. */
const LEARN_AND_FLOOD = 'table=0,priority=0,actions=NORMAL';

/** A switch in user space takes up to half a second to notice that a card has moved. */
export const SWITCH_SECONDS = 3;

interface SwitchedNeighbourhood extends Neighbourhood {
  /** How often something was dropped for this reason. */
  counted(reason: DropReason): Promise<number>;
}

/** The attack on both switches, where this host has Open vSwitch: in place of a bridge, and in place of a router with walls. */
export async function tryOnSwitch(
  { directory, step }: Pick<DrillContext, 'directory' | 'step'>,
  how: 'learning' | 'walled',
  attack: (here: SwitchedNeighbourhood) => Promise<readonly Attempt[]>,
): Promise<Attempt[]> {
  if (!Object.values(OPENVSWITCH_PROGRAMS).every((file) => existsSync(file))) {
    step('no Open vSwitch here (openvswitch-switch): not tried on one');
    return [];
  }
  step(
    how === 'learning'
      ? 'the same machines on an Open vSwitch that learns'
      : 'the same machines on an Open vSwitch of Ringwall’s',
  );
  await using here = await openSwitch(directory, how);
  const attempts = await attack(here);
  return attempts.map((attempt) => ({ ...attempt, what: `${attempt.what}, on an Open vSwitch` }));
}

async function openSwitch(directory: string, how: 'learning' | 'walled'): Promise<SwitchedNeighbourhood> {
  await using stack = new AsyncDisposableStack();
  const segment = stack.use(await openSegment(directory));
  const { inside, pin, network, machines } = segment;
  const place = { id: `drill-${process.pid}`, dir: join(directory, 'switch'), namespace: pin, leases: new UidLeases() };
  const own = new Switch(inside, place);
  stack.defer(() => own.close());
  const walls = new SwitchWalls(inside, own);
  if (how === 'walled') await walls.raise(compileSwitched(network, machines));
  else {
    await own.open();
    await own.apply({ flows: new Map([[LEARN_AND_FLOOD, LEARN_AND_FLOOD]]), meters: [], until: undefined });
  }
  await own.connect(machines);
  const all = stack.move();
  return {
    ...segment,
    counted: async (reason) => (await walls.counts()).refused.get(reason)?.packets ?? 0,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
