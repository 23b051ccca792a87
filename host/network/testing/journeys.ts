// Journeys of real packets: from every machine to every other, by each protocol, and which of them arrive.
import * as fc from 'fast-check';
import {
  parseMachines,
  parsePolicy,
  parseSingleService,
  ReachModel,
  type Machine,
  type Network,
} from '@ringwall/netpolicy';
import { arbitraryMachines, arbitraryPolicy } from '../../../lib/netpolicy/testing/arbitrary.ts';
import type { Station } from './testbed.ts';

/** Each is a machine with both addresses: those that a policy's random machines have not are there all the same, unknown to it. */
const STATIONS = 8;
const WAIT_SECONDS = 0.6;
/** As many as a busy host takes: where nothing is missing, there is one. */
const ATTEMPTS = 20;
const SERVICES = ['tcp/22', 'tcp/80', 'tcp/443', 'tcp/5433', 'udp/443', 'udp/9999', 'ping', 'icmp/timestamp-request'];
/** Random policies that allow nearly nothing prove little: most of those that are tried allow a sixth of all journeys at least. */
const DRAWN = 400;
const SPARSE_ROUNDS = 2;
const SEED = 20_261_121;

export function networkOf(policy: unknown): Network {
  const [network] = parsePolicy(policy).networks;
  if (network === undefined) throw new Error('no network');
  return network;
}

/** Without rules: what its machines are. */
const OPEN = networkOf({
  version: 1,
  tenant: 'acme',
  networks: [{ name: 'app', addresses: ['10.20.0.0/24', 'fd00:20::/64'], rules: [] }],
});
export const EVERYBODY: readonly Machine[] = parseMachines(
  Array.from({ length: STATIONS }, (_, index) => ({
    name: `m${index}`,
    labels: {},
    addresses: [`10.20.0.${index + 1}`, `fd00:20::${index + 1}`],
    mac: `52:54:00:00:00:0${index}`,
    interface: `t${index}`,
  })),
  OPEN,
);

/** Each sending has a number of its own, which its packets carry. */
let round = 0;

export interface Journey {
  readonly from: Machine;
  readonly to: Machine;
  readonly family: 4 | 6;
  readonly service: string;
}

/** Every machine to every other, by both families and all services. */
export const JOURNEYS: readonly Journey[] = EVERYBODY.flatMap((from) =>
  EVERYBODY.filter((to) => to !== from).flatMap((to) =>
    ([4, 6] as const).flatMap((family) =>
      SERVICES.filter((service) => family === 4 || !service.startsWith('icmp/')).map((service) => ({
        from,
        to,
        family,
        service,
      })),
    ),
  ),
);

/**
 * What arrives. What should and has not is sent again, for a busy host is late; whatever has arrived once has arrived, so that
 * nothing that should not can hide behind that.
 */
export async function arrivals(
  stations: readonly Station[],
  expected: readonly Journey[],
): Promise<ReadonlySet<Journey>> {
  const found = new Set<Journey>();
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    for (const journey of await sendAll(stations, (round += 1))) found.add(journey);
    if (expected.every((journey) => found.has(journey))) break;
  }
  return found;
}

async function sendAll(stations: readonly Station[], number: number): Promise<ReadonlySet<Journey>> {
  const own = stations.map(({ machine }) => JOURNEYS.filter(({ from }) => from === machine));
  const answered = await Promise.all(
    stations.map((station, index) =>
      station.tell(
        'probe',
        number,
        (own[index] ?? []).map((journey) => wire(journey)),
        WAIT_SECONDS,
      ),
    ),
  );
  const received = await Promise.all(stations.map((station) => station.tell('collect', number)));
  const found = new Set<Journey | undefined>();
  for (const [index, list] of answered.entries()) for (const at of numbers(list)) found.add(own[index]?.[at]);
  for (const list of received) {
    for (const [at, sender] of Array.isArray(list) ? list : []) {
      found.add(own[stations.findIndex(({ machine }) => machine.name === sender)]?.[Number(at)]);
    }
  }
  return new Set([...found].filter((journey) => journey !== undefined));
}

function wire({ to, family, service }: Journey): [string, string, number] {
  const { protocol, number } = parseSingleService(service, family, '');
  return [protocol === 6 ? 'tcp' : protocol === 17 ? 'udp' : 'icmp', addressOf(to, family), number];
}

function addressOf(machine: Machine, family: 4 | 6): string {
  const address = machine.addresses.find((own) => own.family === family);
  if (address === undefined) throw new Error(`${machine.name} has no address of family ${family}`);
  return address.text;
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}

/** A port that senders of datagrams have by themselves. */
const OWN_PORT = 40_000;

/** Datagrams that nobody has allowed, and that could be answers to others which somebody has: by their own port alone. */
export function couldAnswer(network: Network, machines: readonly Machine[]): Journey[] {
  const model = new ReachModel(network, machines);
  return JOURNEYS.filter(({ from, to, family, service }) => {
    const [sender, receiver] = [to, from].map((machine) => machine.addresses.find((own) => own.family === family));
    if (sender === undefined || receiver === undefined || !service.startsWith('udp/')) return false;
    const question = { protocol: 17, number: OWN_PORT, atSeconds: Date.now() / 1000 };
    return model.decide({ from: sender, to: receiver, ...question }).allowed;
  });
}

export function told(journeys: Iterable<Journey>): string[] {
  return Array.from(
    journeys,
    ({ from, to, family, service }) => `${from.name} to ${to.name}, IPv${family}, ${service}`,
  ).toSorted();
}

function allowedBy(network: Network, machines: readonly Machine[]): Journey[] {
  const model = new ReachModel(network, machines);
  return JOURNEYS.filter(({ from, to, family, service }) => {
    const ends = [from, to].map((machine) => machine.addresses.find((own) => own.family === family));
    const [sender, receiver] = ends;
    if (sender === undefined || receiver === undefined) return false;
    const question = { ...parseSingleService(service, family, ''), atSeconds: Date.now() / 1000 };
    return model.decide({ from: sender, to: receiver, ...question }).allowed;
  });
}

export interface Case {
  readonly policy: unknown;
  readonly network: Network;
  readonly machines: readonly Machine[];
  /** What the model lets arrive. */
  readonly allowed: readonly Journey[];
}

/** As many random policies, with random machines. */
export function drawCases(rounds: number): Case[] {
  const drawn = fc.sample(fc.tuple(arbitraryPolicy, arbitraryMachines), { numRuns: DRAWN, seed: SEED });
  const cases = drawn.map(([policy, list]) => {
    const network = networkOf(policy);
    const machines = parseMachines(list, network);
    return { policy, network, machines, allowed: allowedBy(network, machines) };
  });
  const dense = cases.slice(SPARSE_ROUNDS).filter(({ allowed }) => allowed.length >= JOURNEYS.length / 6);
  return [...cases.slice(0, SPARSE_ROUNDS), ...dense.slice(0, rounds - SPARSE_ROUNDS)];
}

/** Every station listens to what it may be sent. */
export async function listenAll(stations: readonly Station[]): Promise<void> {
  for (const station of stations) await station.tell('listen', [22, 80, 443, 5433], [443, 9999]);
}
