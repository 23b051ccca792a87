// An attack on three machines wherever they may be joined: on what usual hosts have for that (a bridge, an Open vSwitch that learns and floods,
// as it does by itself), and on what Ringwall has (a router with walls, an Open vSwitch whose flows do neither).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UidLeases } from '@ringwall/host/jail';
import { OPENVSWITCH_PROGRAMS, Switch, SwitchWalls } from '@ringwall/host/network/openvswitch';
import { compileSwitched, type DropReason } from '@ringwall/netpolicy';
import type { Attempt, DrillContext } from '../drill.ts';
import { openBridge, openSegment, openWalls, type Neighbourhood } from './neighbourhood.ts';

/** What `ovs-vsctl add-br` leaves a switch with. */
const LEARN_AND_FLOOD = 'table=0,priority=0,actions=NORMAL';

/** A switch in user space takes up to half a second to notice that a card has moved. */
const SWITCH_SECONDS = 3;

interface SwitchedNeighbourhood extends Neighbourhood {
  /** How often something was dropped for this reason. */
  counted(reason: DropReason): Promise<number>;
}

/** `seconds`: how long it needs there. */
type Attack = (here: Neighbourhood, seconds?: number) => Promise<readonly Attempt[]>;
type Context = Pick<DrillContext, 'directory' | 'step'>;

/** `step`: what happens on the bridge. */
export async function attackUsual(context: Context, step: string, attack: Attack): Promise<Attempt[]> {
  return [...(await onBridge(context, step, attack)), ...(await onSwitch(context, 'learning', attack))];
}

export async function attackWalled(context: Context, attack: Attack): Promise<Attempt[]> {
  return [...(await behindWalls(context, attack)), ...(await onSwitch(context, 'walled', attack))];
}

async function onBridge({ directory, step }: Context, said: string, attack: Attack): Promise<readonly Attempt[]> {
  await using here = await openBridge(directory);
  step(said);
  return await attack(here);
}

async function behindWalls({ directory, step }: Context, attack: Attack): Promise<readonly Attempt[]> {
  await using here = await openWalls(directory);
  step('the same machines behind walls');
  return await seenDropped(here, await attack(here));
}

/** Where this host has Open vSwitch. */
async function onSwitch(
  { directory, step }: Context,
  how: 'learning' | 'walled',
  attack: Attack,
): Promise<readonly Attempt[]> {
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
  const tried = await attack(here, SWITCH_SECONDS);
  const attempts = how === 'learning' ? tried : await seenDropped(here, tried);
  return attempts.map((attempt) => ({ ...attempt, what: `${attempt.what}, on an Open vSwitch` }));
}

/** Lies that got nowhere because nobody told them prove nothing: they were seen, and dropped. */
async function seenDropped(
  here: { counted(reason: 'spoofed'): Promise<number> },
  attempts: readonly Attempt[],
): Promise<readonly Attempt[]> {
  const stopped = attempts.every(({ succeeded }) => !succeeded);
  if (stopped && (await here.counted('spoofed')) === 0) throw new Error('no lie was counted');
  return attempts;
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
