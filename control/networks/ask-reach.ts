// A question of two names: which machines or addresses they are, in which network that is asked, and what it answers.
import { type Machine, RingwallError } from '@ringwall/api';
import type { Network, Reach, ReachQuery } from '@ringwall/api/networks';
import { isFar, parseRange, type ProtectedRange } from '@ringwall/netpolicy';
import type { Store } from '../store/index.ts';
import { judgeDefinition, nearest } from './judge.ts';
import { isAdmitted } from './members.ts';
import { findNetwork, loadModel, type Model, type ModelSources, nowSeconds } from './model.ts';
import { asAddress, type End, explainReach, noCommonNetwork } from './reach.ts';

export async function askReach(sources: ModelSources, query: ReachQuery): Promise<Reach> {
  const { store, warden } = sources;
  const { from, to, service } = query;
  const [source, target] = await Promise.all([store.findMachine(from), store.findMachine(to)]);
  const found = await networkOf(store, query, source, target);
  if (found === undefined) {
    const without = [source, target].flatMap((each) =>
      each?.spec.network === undefined && each !== undefined ? [`${each.name} has no network`] : [],
    );
    for (const [text, machine] of [
      [from, source],
      [to, target],
    ] as const)
      if (machine === undefined) await checkAddress(store, text, undefined);
    return noCommonNetwork(bare(from, source), bare(to, target), service, without);
  }
  const model = await loadModel(sources, found);
  const ends = { from: await endOf(store, model, from, source), to: await endOf(store, model, to, target) };
  const strangers = [ends.from, ends.to].filter(({ machine, member }) => machine !== undefined && member === undefined);
  if (strangers.length > 0) {
    const notes = strangers.map(({ text }) => `${text} has no card in ${found.name}`);
    return noCommonNetwork(ends.from, ends.to, service, notes);
  }
  const listed = await warden.call({ op: 'list-networks' }).catch(() => ({ protected: [], wayOut: undefined }));
  const protectedRanges = [
    ...listed.protected.map(({ range, what }): ProtectedRange => ({ ...parseRange(range, ''), what })),
    ...(await rangesOfOthers(store, found)),
  ];
  const question = {
    network: model.definition,
    machines: model.machines,
    protectedRanges,
    wayOut: listed.wayOut,
    ...ends,
    service,
  };
  return explainReach({ ...question, atSeconds: nowSeconds() });
}

/** No way out leads from one network of a host to another. */
async function rangesOfOthers(store: Store, network: Network): Promise<ProtectedRange[]> {
  const others = (await store.networks.list()).filter(({ id }) => id !== network.id);
  return others.flatMap(({ name, spec }) =>
    judgeDefinition(spec.definition).addresses.map((range) => ({
      ...range,
      what: `an address of the network ${name}`,
    })),
  );
}

/** The one that is asked about: as it is named, or as both ends have it. */
async function networkOf(
  store: Store,
  { network }: ReachQuery,
  source: Machine | undefined,
  target: Machine | undefined,
): Promise<Network | undefined> {
  const apart = source !== undefined && target !== undefined && source.spec.network !== target.spec.network;
  const asked = network ?? source?.spec.network ?? target?.spec.network;
  if (asked === undefined || (network === undefined && apart)) return undefined;
  return await findNetwork(store, asked);
}

function bare(text: string, machine: Machine | undefined): End {
  return machine === undefined ? { text } : { text, machine };
}

/** A machine of this host, one of another host by its name or address, or an address. */
async function endOf(store: Store, model: Model, text: string, machine: Machine | undefined): Promise<End> {
  if (machine !== undefined) {
    const member = model.machines.find((each) => !isFar(each) && each.name === machine.name);
    const own = model.members.find((each) => each.machine.id === machine.id);
    return member === undefined || own === undefined
      ? { text, machine }
      : { text, machine, member, admitted: isAdmitted(own) };
  }
  const member = model.far.machines.find(
    ({ name, addresses }) => name === text || addresses.some((address) => address.text === text),
  );
  const host = model.far.hosts.find((each) => each.host === member?.host);
  if (member !== undefined && host !== undefined) return { text, member, host };
  await checkAddress(store, text, model);
  return { text };
}

/** What is no machine is an address, or a slip. */
async function checkAddress(store: Store, text: string, model: Model | undefined): Promise<void> {
  const far = model?.far.machines ?? [];
  const names = [...(await store.listMachines()), ...far].map(({ name }) => name);
  const near = nearest(text, names);
  if (near !== undefined) {
    throw new RingwallError('not-found', `there is no machine ${JSON.stringify(text.slice(0, 64))}`, {
      hint: `did you mean ${near}?`,
    });
  }
  asAddress(text);
}
