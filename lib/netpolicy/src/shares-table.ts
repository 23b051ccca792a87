// Shares in the kernel. As soon as it is known whose a packet is, its sender's packets and bytes are metered; what the rules have let open
// a connection is metered once more. The meters make their own elements, so that a machine with the common share costs none; each
// other share is sets and chains that are named by what they say.
import { drops } from './drop-reasons.ts';
import { UPLINK } from './gateway.ts';
import type { Machine } from './machine.ts';
import type { Network } from './policy.ts';
import type { Chain, Measure, RuleSet, SetElement, Statement, TablePart } from './ruleset.ts';
import { COMMON_SHARE, commonShare, OPENING, type Share, shareOf } from './share.ts';
import { StableIds } from './stable-ids.ts';

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
/** Of a segment: where what a machine sends is metered. */
export const SENDS = 'sends';
/** How long no connection begins once too many were counted. */
const FULL_SECONDS = 1;

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

  /** The chain in which what it sends is metered, and its element in `openings`; undefined where it has the common share. */
  otherOf(machine: Machine): { readonly chain: string; readonly opening: SetElement } | undefined {
    const share = shareOf(this.#network.shares, machine);
    if (isSame(share, this.#common)) return undefined;
    const name = this.#nameOf(share);
    return {
      chain: shareChain(name),
      opening: { key: [machine.interface], value: { goto: `${OPENING}-${name}` } },
    };
  }

  /** Chains that guards lead to (`share`), and what the rules let open a connection (`opening`). */
  part(openings: readonly SetElement[]): TablePart {
    const others = [...this.#others];
    return {
      sets: [
        FULL_SET,
        ...metersOf(''),
        { name: 'openings', key: ['ifname'], value: 'verdict', interval: false, elements: openings },
        ...others.flatMap(([name]) => metersOf(`-${name}`)),
      ],
      chains: [
        FULL,
        { name: COMMON_SHARE, rules: packetRules(this.#common, '') },
        ...others.flatMap(([name, share]): Chain[] => [
          { name: shareChain(name), rules: packetRules(share, `-${name}`) },
          { name: `${OPENING}-${name}`, rules: openingRules(share, `-${name}`) },
        ]),
        {
          name: OPENING,
          rules: [
            ...NOT_OF_CABLES,
            [{ match: ['iifname'], op: '==', to: { set: FULL_SET.name } }, drops('over-share')],
            [{ decide: { map: 'openings', key: ['iifname'] } }],
            ...openingRules(this.#common, ''),
          ],
        },
      ],
    };
  }

  /**
   * The same for a segment, where the kernel knows no connections: `sends`, to which guards lead, and `opening`, which what begins a connection
   * of TCP has to come through.
   */
  segmentPart(machines: readonly Machine[]): TablePart {
    const others = [...this.#others];
    const found = machines.flatMap((machine) => {
      const other = this.otherOf(machine);
      return other === undefined ? [] : [{ key: [machine.interface], ...other }];
    });
    const byCable = (name: string, elements: readonly SetElement[]): RuleSet => {
      return { name, key: ['ifname'], value: 'verdict', interval: false, elements };
    };
    const metered = (suffix: string): RuleSet[] => [meterOf(`sent${suffix}`), meterOf(`opened${suffix}`)];
    return {
      sets: [
        byCable(
          'shares',
          found.map(({ key, chain }) => ({ key, value: { goto: chain } })),
        ),
        byCable(
          'openings',
          found.map(({ opening }) => opening),
        ),
        ...['', ...others.map(([name]) => `-${name}`)].flatMap(metered),
      ],
      chains: [
        { name: COMMON_SHARE, rules: packetRules(this.#common, '') },
        ...others.flatMap(([name, share]): Chain[] => [
          { name: shareChain(name), rules: packetRules(share, `-${name}`) },
          { name: `${OPENING}-${name}`, rules: [openedRule(share, `-${name}`)] },
        ]),
        {
          name: SENDS,
          rules: [[{ decide: { map: 'shares', key: ['iifname'] } }], [{ verdict: { goto: COMMON_SHARE } }]],
        },
        {
          name: OPENING,
          rules: [[{ decide: { map: 'openings', key: ['iifname'] } }], openedRule(this.#common, '')],
        },
      ],
    };
  }

  #nameOf(share: Share): string {
    return this.#ids.of(JSON.stringify(share)).toString(16);
  }
}

const ACCEPT: Statement = { verdict: 'accept' };

/** What tunnels bring has had its share where it comes from; they and the loopback are no Ethernet. */
const NOT_OF_CABLES: readonly (readonly Statement[])[] = [
  [{ match: ['iiftype'], op: '!=', to: 'ether' }, ACCEPT],
  [{ match: ['iifname'], op: '==', to: UPLINK }, ACCEPT],
];

/** Interfaces of which too many connections were counted. */
export const FULL_SET: RuleSet = { ...meterOf('full'), metered: { forgottenAfterSeconds: FULL_SECONDS } };
export const FULL: Chain = {
  name: 'full',
  rules: [[{ remember: FULL_SET.name, key: ['iifname'] }], [drops('over-share')]],
};

function shareChain(name: string): string {
  return `${COMMON_SHARE}-${name}`;
}

/** Both in one look: to find the meter of an interface costs more than to read it. */
function packetRules({ packetsPerSecond, sendMbit, burstKiB }: Share, suffix: string): Statement[][] {
  const packets = { perSecond: packetsPerSecond, burst: Math.ceil(packetsPerSecond / PACKET_BURSTS_PER_SECOND) };
  const bytes = { perSecond: (sendMbit * 1_000_000) / 8, burst: burstKiB * 1_024, unit: 'bytes' } as const;
  return [[{ meter: `sent${suffix}`, key: ['iifname'], below: [packets, bytes] }, ACCEPT], [drops('over-share')]];
}

function openingRules(share: Share, suffix: string): Statement[][] {
  return [
    openedRule(share, suffix),
    [...connectionsOver(`connections${suffix}`, share.connections), { verdict: { goto: FULL.name } }],
    [ACCEPT],
  ];
}

function openedRule({ connectionsPerSecond }: Share, suffix: string): Statement[] {
  const opened = { perSecond: connectionsPerSecond, burst: connectionsPerSecond * OPENING_BURST_SECONDS };
  return over(`opened${suffix}`, opened);
}

/** Goes on where the interface has more connections than this. */
export function connectionsOver(meter: string, connections: number): Statement[] {
  const oneOf = Math.ceil(connections / COUNTED_CONNECTIONS);
  const known: Statement = { meter, key: ['iifname'], over: { connections: Math.round(connections / oneOf) } };
  return [...(oneOf === 1 ? [] : [{ oneOf }]), known];
}

function over(meter: string, measure: Measure): Statement[] {
  return [{ meter, key: ['iifname'], over: measure }, drops('over-share')];
}

function metersOf(suffix: string): RuleSet[] {
  return ['sent', 'opened', 'connections'].map((name) => meterOf(`${name}${suffix}`));
}

export function meterOf(name: string): RuleSet {
  return { name, key: ['ifname'], interval: false, elements: [], metered: {} };
}

function isSame(a: Share, b: Share): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
