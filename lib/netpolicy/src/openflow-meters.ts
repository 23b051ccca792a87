// Shares on a switch: what a machine sends is metered at its port, by the measures of the routed network's tree. What it may receive
// is the cable's (host/network/shares), and how many connections it may have, a switch does not know.
import { LOGGED_BELOW, LOGGED_PER_SECOND } from './drop-reasons.ts';
import { elementsOf } from './openflow-flow.ts';
import { COMMON_SHARE, OPENING } from './share.ts';
import type { Measure, Ruleset, Statement } from './ruleset.ts';

/** What of a machine is metered, each by a meter of its own. */
const METER_KINDS = ['packets', 'bytes', 'openings', 'refusals'] as const;
type MeterKind = (typeof METER_KINDS)[number];

const BITS_PER_KILOBIT = 1_000;
const BITS_PER_BYTE = 8;

type Rate = Extract<Measure, { readonly perSecond: number }>;

/** A band that drops what is above it (OpenFlow 1.5.1, "Meter Modification Message"). */
export interface Meter {
  readonly id: number;
  /** Kilobits a second, and kilobits at once; or packets. */
  readonly unit: 'kbps' | 'pktps';
  readonly rate: number;
  readonly burst: number;
}

/** Before those of ports, which begin with 1. */
const LOG_METER_ID = 1;
/** The action that asks the one meter of all that is logged. */
export const LOG_METER: string = `meter:${LOG_METER_ID}`;

/** The action that asks a port's meter. */
export function meterOf(port: number, kind: MeterKind): string {
  return `meter:${meterId(port, kind)}`;
}

export function compileMeters(ruleset: Ruleset, ports: ReadonlyMap<string, number>): Meter[] {
  const chains = new Map(ruleset.tables.flatMap((table) => table.chains.map((chain) => [chain.name, chain])));
  const chainsOf = (...names: readonly string[]): ReadonlyMap<unknown, string> =>
    new Map(
      names
        .flatMap((name) => elementsOf(ruleset, name))
        .map(({ key, value }) => [key[0], String(Object(value).goto)] as const),
    );
  const [sharesOf, openingsOf] = [chainsOf('others4', 'others6'), chainsOf('openings')];
  const ratesIn = (name: string): readonly Rate[] =>
    chains
      .get(name)
      ?.rules.flat()
      .flatMap((statement) => ratesOf(statement)) ?? [];
  const own = [...ports].flatMap(([device, port]) => [
    ...ratesIn(sharesOf.get(device) ?? COMMON_SHARE).map((rate) =>
      meter(meterId(port, rate.unit === 'bytes' ? 'bytes' : 'packets'), rate),
    ),
    ...ratesIn(openingsOf.get(device) ?? OPENING).map((rate) => meter(meterId(port, 'openings'), rate)),
    meter(meterId(port, 'refusals'), LOGGED_BELOW),
  ]);
  return [meter(LOG_METER_ID, { perSecond: LOGGED_PER_SECOND, burst: LOGGED_PER_SECOND }), ...own];
}

function meterId(port: number, kind: MeterKind): number {
  // From 1 (OpenFlow 1.5, 7.2.6): so are ports.
  return port * METER_KINDS.length + METER_KINDS.indexOf(kind);
}

/** Those that a switch can count; how many connections there are it does not say. */
function ratesOf(statement: Statement): Rate[] {
  if (!('meter' in statement)) return [];
  const measures: readonly Measure[] = 'over' in statement ? [statement.over] : [statement.below].flat();
  return measures.filter((measure): measure is Rate => 'perSecond' in measure);
}

function meter(id: number, { perSecond, burst, unit }: Rate): Meter {
  if (unit !== 'bytes') return { id, unit: 'pktps', rate: perSecond, burst };
  const kilobits = (bytes: number): number => Math.ceil((bytes * BITS_PER_BYTE) / BITS_PER_KILOBIT);
  return { id, unit: 'kbps', rate: kilobits(perSecond), burst: kilobits(burst) };
}
