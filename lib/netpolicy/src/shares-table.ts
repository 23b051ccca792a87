// Shares in the kernel: a table of its own, beside the walls. Before anything else is done for a packet, its sender's packets and
// bytes are metered; what the rules have let open a connection is metered once more. The meters make their own elements, so that
// a machine with the common share costs none; each other share is sets and chains that are named by what they say.
import { drops, refusals } from './drop-reasons.ts';
import { UPLINK } from './gateway.ts';
import type { Machine } from './machine.ts';
import type { Network } from './policy.ts';
import type { Chain, Measure, RuleSet, SetElement, Statement, Table } from './ruleset.ts';
import { commonShare, type Share, shareOf } from './share.ts';
import { StableIds } from './stable-ids.ts';
import { hooked } from './tables.ts';

/** Before the guards, and so before whatever else a packet costs. */
const SHARES_PRIORITY = -310;
/** After the rules have let it through. */
const OPENINGS_PRIORITY = 10;
/** A tenth of a second's packets may come at once: so long a busy host may keep a guest waiting. */
const PACKET_BURSTS_PER_SECOND = 10;
/** Seconds' worth of connections that may begin at once: pools of servers open theirs together. */
const OPENING_BURST_SECONDS = 2;
/**
 * The kernel counts connections by walking through those that it has counted, 0.7 µs each, up to 250 times a second: 8,192 would keep
 * a core busy. So chance picks which are counted, of more than this many so few that they are this many; what is counted differs from
 * what is there by 4 % (a standard deviation, the root of this).
 */
const COUNTED_CONNECTIONS = 512;
/** How long no connection begins once too many were counted. */
const FULL_SECONDS = 1;

type ShareMap = 'shares' | 'openings';

/** Which machine has which share, as the kernel's sets tell them apart. */
export class ShareClasses {
  readonly #network: Network;
  readonly #common: Share;
  readonly #ids = new StableIds('share');
  readonly #others = new Map<string, Share>();

  constructor(network: Network) {
    this.#network = network;
    this.#common = commonShare(network.shares);
    for (const { share } of network.shares) {
      if (!isSame(share, this.#common)) this.#others.set(this.#nameOf(share), share);
    }
  }

  /** What says so in the sets, of a machine that has another than the common share. */
  elementsOf(machine: Machine): { readonly name: ShareMap; readonly element: SetElement }[] {
    const share = shareOf(this.#network.shares, machine);
    if (isSame(share, this.#common)) return [];
    const name = this.#nameOf(share);
    const key = [machine.interface];
    return [
      { name: 'shares', element: { key, value: { goto: `share-${name}` } } },
      { name: 'openings', element: { key, value: { goto: `opening-${name}` } } },
    ];
  }

  table(elements: Readonly<Record<ShareMap, readonly SetElement[]>>): Table {
    const others = [...this.#others];
    const refused = refusals(['over-share']);
    const pick = (name: ShareMap): RuleSet => ({
      name,
      key: ['ifname'],
      value: 'verdict',
      interval: false,
      elements: elements[name],
    });
    const choose = (map: ShareMap): Statement[][] => [[{ decide: { map, key: ['iifname'] } }]];
    return {
      family: 'inet',
      name: 'ringwall-shares',
      counters: ['over-share'],
      sets: [
        ...refused.sets,
        { ...meterOf('full'), metered: { forgottenAfterSeconds: FULL_SECONDS } },
        ...metersOf(''),
        pick('shares'),
        pick('openings'),
        ...others.flatMap(([name]) => metersOf(`-${name}`)),
      ],
      chains: [
        ...refused.chains,
        FULL,
        ...others.flatMap(([name, share]): Chain[] => [
          { name: `share-${name}`, rules: packetRules(share, `-${name}`) },
          { name: `opening-${name}`, rules: openingRules(share, `-${name}`) },
        ]),
        hooked('share', 'prerouting', SHARES_PRIORITY, 'accept', [
          ...NOT_OF_CABLES,
          ...choose('shares'),
          ...packetRules(this.#common, ''),
        ]),
        hooked('opening', 'forward', OPENINGS_PRIORITY, 'accept', [
          [{ match: ['ct state'], op: '!=', to: 'new' }, { verdict: 'accept' }],
          ...NOT_OF_CABLES,
          [{ match: ['iifname'], op: '==', to: { set: 'full' } }, drops('over-share')],
          ...choose('openings'),
          ...openingRules(this.#common, ''),
        ]),
      ],
    };
  }

  #nameOf(share: Share): string {
    return this.#ids.of(JSON.stringify(share)).toString(16);
  }
}

/** What tunnels bring has had its share where it comes from; they and the loopback are no Ethernet. */
const NOT_OF_CABLES: readonly (readonly Statement[])[] = [
  [{ match: ['iiftype'], op: '!=', to: 'ether' }, { verdict: 'accept' }],
  [{ match: ['iifname'], op: '==', to: UPLINK }, { verdict: 'accept' }],
];

const FULL: Chain = { name: 'full', rules: [[{ remember: 'full', key: ['iifname'] }], [drops('over-share')]] };

function packetRules({ packetsPerSecond, sendMbit, burstKiB }: Share, suffix: string): Statement[][] {
  const packets = { perSecond: packetsPerSecond, burst: Math.ceil(packetsPerSecond / PACKET_BURSTS_PER_SECOND) };
  const bytes = { perSecond: (sendMbit * 1_000_000) / 8, burst: burstKiB * 1_024, unit: 'bytes' } as const;
  return [over(`packets${suffix}`, packets), over(`bytes${suffix}`, bytes)];
}

function openingRules({ connectionsPerSecond, connections }: Share, suffix: string): Statement[][] {
  const opened = { perSecond: connectionsPerSecond, burst: connectionsPerSecond * OPENING_BURST_SECONDS };
  const oneOf = Math.ceil(connections / COUNTED_CONNECTIONS);
  const known: Statement = {
    meter: `connections${suffix}`,
    key: ['iifname'],
    over: { connections: Math.round(connections / oneOf) },
  };
  return [
    over(`opened${suffix}`, opened),
    [...(oneOf === 1 ? [] : [{ oneOf }]), known, { verdict: { goto: FULL.name } }],
  ];
}

function over(meter: string, measure: Measure): Statement[] {
  return [{ meter, key: ['iifname'], over: measure }, drops('over-share')];
}

function metersOf(suffix: string): RuleSet[] {
  return ['packets', 'bytes', 'opened', 'connections'].map((name) => meterOf(`${name}${suffix}`));
}

function meterOf(name: string): RuleSet {
  return { name, key: ['ifname'], interval: false, elements: [], metered: {} };
}

function isSame(a: Share, b: Share): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
