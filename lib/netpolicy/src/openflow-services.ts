// Services on a switch, which knows no ranges of ports: values with masks, as few as cover a range.
import { elementsOf, type Flow, flow, goes, sets } from './openflow-flow.ts';
import type { KeyPart, Ruleset, SetElement } from './ruleset.ts';
import { ICMP_PROTOCOLS } from './service.ts';

const PORT_BITS = 16;
const LAST_PORT: number = 2 ** PORT_BITS - 1;
const FAMILIES = ['ip', 'ipv6'] as const;

export function compileServices(ruleset: Ruleset): Flow[] {
  const found = (match: readonly string[], value: SetElement['value']): Flow =>
    flow('service', 1, match, sets('reg4', value), goes('cell'));
  return [
    ...elementsOf(ruleset, 'ports').flatMap(({ key: [protocol, ports = 0], value }) =>
      masksOf(ports).flatMap((port) =>
        FAMILIES.map((family) => found([family, `nw_proto=${Number(protocol)}`, ...port], value)),
      ),
    ),
    ...elementsOf(ruleset, 'icmp').map(({ key: [type], value }) =>
      found(['ip', `nw_proto=${ICMP_PROTOCOLS.icmp}`, `icmp_type=${Number(type)}`], value),
    ),
    ...elementsOf(ruleset, 'icmpv6').map(({ key: [type], value }) =>
      found(['ipv6', `nw_proto=${ICMP_PROTOCOLS.icmpv6}`, `icmp_type=${Number(type)}`], value),
    ),
    ...elementsOf(ruleset, 'protocols').flatMap(({ key: [protocol], value }) =>
      FAMILIES.map((family) => found([family, `nw_proto=${Number(protocol)}`], value)),
    ),
  ];
}

/** What matches these ports and no other; nothing where it is all of them. */
export function masksOf(ports: KeyPart): string[][] {
  const [first, last] =
    typeof ports === 'object' ? [Number(ports.first), Number(ports.last)] : [Number(ports), Number(ports)];
  const masks: string[][] = [];
  for (let from = first; from <= last;) {
    let size = from === 0 ? LAST_PORT + 1 : from & -from;
    while (from + size - 1 > last) size >>>= 1;
    const mask = LAST_PORT + 1 - size;
    masks.push(mask === 0 ? [] : [`tp_dst=0x${from.toString(16)}/0x${mask.toString(16)}`]);
    from += size;
  }
  return masks;
}
