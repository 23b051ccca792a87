// A question of two names: which machines or addresses they are, in which network that is asked, and what it answers.
import { type Machine, RingwallError } from '@ringwall/api';
import type { Reach, ReachQuery } from '@ringwall/api/networks';
import type { Store } from '../store/index.ts';
import { nearest } from './judge.ts';
import { isAdmitted } from './members.ts';
import { findNetwork, loadModel, nowSeconds } from './model.ts';
import { asAddress, type End, explainReach, noCommonNetwork } from './reach.ts';

export async function askReach(store: Store, { from, to, service, network }: ReachQuery): Promise<Reach> {
  const [source, target] = await Promise.all([store.findMachine(from), store.findMachine(to)]);
  const apart = source !== undefined && target !== undefined && source.spec.network !== target.spec.network;
  const asked = network ?? source?.spec.network ?? target?.spec.network;
  const bare = (text: string, machine: Machine | undefined): End =>
    machine === undefined ? { text } : { text, machine };
  if (asked === undefined || (network === undefined && apart)) {
    const without = [source, target].flatMap((each) =>
      each?.spec.network === undefined && each !== undefined ? [`${each.name} has no network`] : [],
    );
    for (const [text, machine] of [
      [from, source],
      [to, target],
    ] as const)
      if (machine === undefined) await checkAddress(store, text);
    return noCommonNetwork(bare(from, source), bare(to, target), service, without);
  }
  const found = await findNetwork(store, asked);
  const model = await loadModel(store, found);
  const end = async (text: string, machine: Machine | undefined): Promise<End> => {
    const member = model.machines.find(({ name }) => name === machine?.name);
    if (machine === undefined) await checkAddress(store, text);
    const own = model.members.find((each) => each.machine.id === machine?.id);
    if (machine === undefined || member === undefined || own === undefined) return bare(text, machine);
    return { text, machine, member, admitted: isAdmitted(own) };
  };
  const ends = { from: await end(from, source), to: await end(to, target) };
  const strangers = [ends.from, ends.to].filter(({ machine, member }) => machine !== undefined && member === undefined);
  if (strangers.length > 0) {
    const notes = strangers.map(({ text }) => `${text} has no card in ${found.name}`);
    return noCommonNetwork(ends.from, ends.to, service, notes);
  }
  const question = { network: model.definition, machines: model.machines, ...ends, service };
  return explainReach({ ...question, atSeconds: nowSeconds() });
}

/** What is no machine is an address, or a slip. */
async function checkAddress(store: Store, text: string): Promise<void> {
  const names = (await store.listMachines()).map(({ name }) => name);
  const near = nearest(text, names);
  if (near !== undefined) {
    throw new RingwallError('not-found', `there is no machine ${JSON.stringify(text.slice(0, 64))}`, {
      hint: `did you mean ${near}?`,
    });
  }
  asAddress(text);
}
