// A switch that goes through the lines that were rendered for it, for the first packet of a connection: matches, registers and tables as
// ovs-fields(7) and ovs-actions(7) have them, as far as those lines use them.
import type { OpenFlowRules } from '../src/openflow.ts';

export interface SwitchPacket {
  readonly port: number;
  readonly source: { readonly mac: string; readonly address: string };
  readonly target: { readonly mac: string; readonly address: string };
  readonly protocol: number;
  /** Its port, or type. */
  readonly number: number;
}

interface Line {
  readonly table: number;
  readonly priority: number;
  readonly match: readonly string[];
  readonly actions: readonly string[];
}

export class TestSwitch {
  readonly #tables = new Map<number, Line[]>();

  constructor({ flows }: Pick<OpenFlowRules, 'flows'>) {
    for (const text of flows.values()) {
      const line = parseLine(text);
      this.#tables.set(line.table, [...(this.#tables.get(line.table) ?? []), line]);
    }
    for (const lines of this.#tables.values()) lines.sort((a, b) => b.priority - a.priority);
  }

  /** The port that it leaves by; undefined where it is dropped. */
  pass(packet: SwitchPacket): number | undefined {
    const registers = new Map<string, number>();
    let state = 0;
    for (let table: number | undefined = 0; table !== undefined;) {
      const line: Line | undefined = this.#tables
        .get(table)
        ?.find((each) => each.match.every((field) => matches(field, packet, registers, state)));
      table = undefined;
      for (const action of line?.actions ?? []) {
        const set = /^set_field:(\d+)->(reg\d)$/.exec(action);
        if (set !== null) registers.set(set[2] ?? '', Number(set[1]));
        const next = /^(?:goto_table:|ct\(table=)(\d+)/.exec(action);
        if (next !== null) table = Number(next[1]);
        if (action.startsWith('ct(table')) state = 1;
        if (action === 'output:NXM_NX_REG2[]') return registers.get('reg2');
      }
    }
    return undefined;
  }
}

function parseLine(text: string): Line {
  const [before = '', actions = ''] = text.split(',actions=');
  const words = before.split(',');
  const number = (key: string): number =>
    Number(words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1));
  const match = words.filter((word) => !/^(?:cookie|table|priority)=/.test(word));
  return { table: number('table'), priority: number('priority'), match, actions: split(actions) };
}

/** At commas that are not in parentheses. */
function split(actions: string): string[] {
  return actions.match(/[^,(]+(?:\((?:[^()]|\([^)]*\))*\))?/g) ?? [];
}

function matches(field: string, packet: SwitchPacket, registers: ReadonlyMap<string, number>, state: number): boolean {
  const [name = '', value = ''] = field.split('=', 2);
  const family = packet.source.address.includes(':') ? 'ipv6' : 'ip';
  const ports = [6, 17, 132].includes(packet.protocol);
  switch (name) {
    case 'in_port':
      return Number(value) === packet.port;
    case 'dl_src':
      return value === packet.source.mac;
    case 'dl_dst':
      return value === packet.target.mac;
    case 'ip':
    case 'ipv6':
      return name === family;
    case 'nw_src':
    case 'ipv6_src':
      return value === packet.source.address;
    case 'nw_dst':
    case 'ipv6_dst':
      return value === packet.target.address;
    case 'nw_proto':
      return Number(value) === packet.protocol;
    case 'udp':
      return packet.protocol === 17 && family === 'ip';
    case 'udp6':
      return packet.protocol === 17 && family === 'ipv6';
    case 'icmp6':
      return packet.protocol === 58 && family === 'ipv6';
    case 'icmp_type':
      return !ports && Number(value) === packet.number;
    case 'tp_dst': {
      const [want = 0, mask = 0xffff] = value.split('/').map(Number);
      return ports && (packet.number & mask) === want;
    }
    case 'ct_state':
      return state === 1 && value === '+trk+new';
    default:
      // Sources of DHCP, tags, marks, words of ARP and of neighbour discovery: this packet is none and has none of them.
      return name.startsWith('reg') && registers.get(name) === Number(value);
  }
}
