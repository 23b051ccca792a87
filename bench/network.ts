// The walls of a network: what they cost a packet with 1, 1,000 and 10,000 machines, against the same path without rules and with a rule
// for each machine; how long 10,000 machines take to compile and load, against a chain for each and
// against ovn-northd where that is installed; and one machine more.
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, runChecked, type Run } from '@ringwall/host/exec';
import {
  applyBatch,
  closeNamespace,
  connectCables,
  openNamespace,
  pinNamespace,
  Walls,
  type NamespaceRun,
} from '@ringwall/host/network';
import {
  compileNetwork,
  parseMachines,
  parsePolicy,
  type Machine,
  type Network,
  type NftCommand,
} from '@ringwall/netpolicy';
import { median, pairs, type Figure } from './measure.ts';
import { HAS_OVN, Ovn, type OvnMachine } from './ovn.ts';

const IP = '/usr/sbin/ip';
const IPERF = '/usr/bin/iperf3';
const ETHTOOL = '/usr/sbin/ethtool';
const IPERF_PORT = 5201;
const SECONDS = 1;
const PAIRS = 5;
const LOADS = 5;
const MANY = 10_000;
const GROUPS = 20;
/** The meters of shares stand in the path, and stop nothing. */
const WIDE = { sendMbit: 40_000, packetsPerSecond: 10_000_000 };
const GOALS = { thousand: 0.95, tenThousand: 0.8, loadMs: 300, chains: 4, ovn: 25, oneMoreMs: 10 };
const SERVICES = [`tcp/${String(IPERF_PORT)}`, 'tcp/5432', 'udp/1000-1010', 'ping'];
/** The same in the words of ovn-nb(5). */
const OVN_SERVICES = [
  `tcp.dst == ${String(IPERF_PORT)}`,
  'tcp.dst == 5432',
  'udp.dst >= 1000 && udp.dst <= 1010',
  'icmp4.type == 8 || icmp6.type == 128',
];
const FLUSHED: readonly NftCommand[] = [{ flush: { ruleset: null } }];

export async function benchNetwork(): Promise<Figure[]> {
  for (const file of [IPERF, ETHTOOL, '/usr/sbin/nft']) {
    if (!existsSync(file)) throw new Error(`bench network needs ${file}: apt-get install iperf3 ethtool nftables`);
  }
  await using path = await Path.open(machinesOf(2));
  return [...(await forwarding(path)), ...(await loading(path.inside))];
}

/** Throughput through the walls as a share of what passes without any rules, in turn. */
async function forwarding(path: Path): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [frames, offloads] of [
    ['frames of 1,500 bytes', 'off'],
    ['frames as cards of machines hand them over', 'on'],
  ] as const) {
    await path.setOffloads(offloads);
    for (const [count, goal] of [
      [2, undefined],
      [1_000, GOALS.thousand],
      [MANY, GOALS.tenThousand],
    ] as const) {
      const { compiled } = compile(count);
      const result = await pairs(
        PAIRS,
        async () => {
          await applyBatch(path.inside, FLUSHED);
          await new Walls(path.inside).raise(compiled);
          return path.gigabits();
        },
        async () => {
          await applyBatch(path.inside, FLUSHED);
          return path.gigabits();
        },
      );
      const best = Math.max(...result.ratios);
      figures.push({
        name: `forwarding through the rules of ${count.toLocaleString('en')} machines, ${frames}, against no rules`,
        value: `${result.a.toFixed(2)} against ${result.b.toFixed(2)} Gbit/s: ratio ${result.ratio.toFixed(2)}, best pair ${best.toFixed(2)}`,
        ...(goal === undefined ? {} : { goal: { text: `at least ${String(goal)}`, met: result.ratio >= goal } }),
      });
    }
  }
  await path.setOffloads('off');
  await applyBatch(path.inside, [...FLUSHED, ...ruleForEach(MANY)]);
  figures.push({
    name: 'the same with a rule for each of 10,000 machines, frames of 1,500 bytes',
    value: `${(await path.gigabits()).toFixed(3)} Gbit/s`,
  });
  await applyBatch(path.inside, FLUSHED);
  return figures;
}

async function loading(inside: NamespaceRun): Promise<Figure[]> {
  const { network, machines } = compile(MANY);
  const walls = new Walls(inside);
  const compileMs: number[] = [];
  const busyMs: number[] = [];
  const kibibytes: number[] = [];
  const loadOnce = async (): Promise<number> => {
    await applyBatch(inside, FLUSHED);
    const before = unreclaimable();
    const [startedAt, busyAt] = [performance.now(), processorMs()];
    const compiled = compileNetwork(network, machines);
    compileMs.push(performance.now() - startedAt);
    await walls.raise(compiled);
    const took = performance.now() - startedAt;
    busyMs.push(processorMs() - busyAt);
    kibibytes.push(unreclaimable() - before);
    return took;
  };
  const chains = chainForEach(MANY);
  const loadChains = async (): Promise<number> => {
    await applyBatch(inside, FLUSHED);
    const startedAt = performance.now();
    await applyBatch(inside, chains);
    return performance.now() - startedAt;
  };
  await loadOnce();
  const loads = await pairs(LOADS, loadChains, loadOnce);

  const ovn = HAS_OVN ? await compileByOvn(loads.b) : [];

  const more = parseMachines([machineJson(MANY)], network);
  const [times, bare]: [number[], number[]] = [[], []];
  for (const machine of more) {
    for (let turn = 0; turn < 20; turn += 1) {
      const bareAt = performance.now();
      await runChecked(inside, ['/bin/true']);
      bare.push(performance.now() - bareAt);
      const startedAt = performance.now();
      if (!(await walls.admit(machine))) throw new Error('a machine of a known kind was not admitted');
      times.push(performance.now() - startedAt);
      await walls.dismiss(machine);
    }
  }
  const oneMore = median(times);
  return [
    {
      name: 'compiling and loading 10,000 machines with both addresses in 20 groups, into a fresh namespace',
      value: `${loads.b.toFixed(0)} ms, of which compiling ${median(compileMs).toFixed(0)} ms; ${median(busyMs).toFixed(0)} ms of processor time on all cores; ${(median(kibibytes) / 1024).toFixed(0)} MiB in the kernel`,
      goal: { text: `${String(GOALS.loadMs)} ms`, met: loads.b <= GOALS.loadMs },
    },
    {
      name: 'the same against loading a chain for each machine',
      value: `${loads.b.toFixed(0)} ms against ${loads.a.toFixed(0)} ms: ${loads.ratio.toFixed(1)} times faster`,
      goal: { text: `${String(GOALS.chains)} times`, met: loads.ratio >= GOALS.chains },
    },
    ...ovn,
    {
      name: 'one machine more among 10,000',
      value: `${oneMore.toFixed(1)} ms, best ${Math.min(...times).toFixed(1)} ms; a program that does nothing there ${median(bare).toFixed(1)} ms`,
      goal: { text: `${String(GOALS.oneMoreMs)} ms`, met: oneMore <= GOALS.oneMoreMs },
    },
  ];
}

/** The same by ovn-northd, between two of our own loads: compiling alone, for its switches load by themselves. */
async function compileByOvn(oursMs: number): Promise<Figure[]> {
  const machineOf = (index: number): OvnMachine => {
    const { name, mac, addresses } = Object(machineJson(index));
    return { name, mac, addresses, group: groupOf(index) };
  };
  const rules = Array.from({ length: GROUPS }, (_, index) => ({
    from: groupOf(index),
    to: groupOf(index + 1),
    matches: OVN_SERVICES,
  }));
  await using ovn = await Ovn.open();
  const allMs = await ovn.compile(
    Array.from({ length: MANY }, (_, index) => machineOf(index)),
    rules,
  );
  const oneMs = await ovn.admit(machineOf(MANY));
  const ratio = allMs / oursMs;
  return [
    {
      name: 'compiling and loading against ovn-northd, which only compiles the same',
      value: `${oursMs.toFixed(0)} ms against ${allMs.toFixed(0)} ms: ${ratio.toFixed(0)} times faster; one machine more takes it ${oneMs.toFixed(0)} ms`,
      goal: { text: `${String(GOALS.ovn)} times`, met: ratio >= GOALS.ovn },
    },
  ];
}

/** Two machines' ends and a router between them, each a namespace. */
class Path implements AsyncDisposable {
  readonly inside: NamespaceRun;
  readonly #dir: string;
  readonly #ends: readonly Run[];

  private constructor(dir: string, inside: NamespaceRun, ends: readonly Run[]) {
    this.#dir = dir;
    this.inside = inside;
    this.#ends = ends;
  }

  static async open(machines: readonly Machine[]): Promise<Path> {
    const dir = await mkdtemp(join(tmpdir(), 'ringwall-bench-'));
    const inside = await openNamespace(run, join(dir, 'network'));
    const ends: Run[] = [];
    for (const [index, { interface: device, mac, addresses }] of machines.entries()) {
      const end = await pinNamespace(run, join(dir, `end${String(index)}`));
      ends.push(end);
      const [own = ''] = addresses.map((address) => address.text);
      // The pair is made where its one end is to be, and the other moved by its file.
      await runChecked(end, [IP, 'link', 'add', 'eth0', 'address', mac, 'type', 'veth', 'peer', 'name', device]);
      await runChecked(end, [IP, 'link', 'set', device, 'netns', join(dir, 'network')]);
      const lines = [
        'link set lo up',
        'link set eth0 up',
        `address add ${own}/32 dev eth0`,
        'route add 169.254.1.1 dev eth0',
        'route add default via 169.254.1.1',
      ];
      await runChecked(end, [IP, '-batch', '-'], { input: `${lines.join('\n')}\n` });
    }
    await connectCables(inside, machines);
    return new Path(dir, inside, ends);
  }

  async setOffloads(state: 'on' | 'off'): Promise<void> {
    const argv = (device: string): string[] => [ETHTOOL, '-K', device, 'tso', state, 'gso', state, 'gro', state];
    for (const end of this.#ends) await runChecked(end, argv('eth0'));
    for (const device of ['t0', 't1']) await runChecked(this.inside, argv(device));
  }

  async gigabits(): Promise<number> {
    const [client, server] = this.#ends;
    if (client === undefined || server === undefined) throw new Error('no ends');
    await runChecked(server, [IPERF, '-s', '-D', '-1', '--idle-timeout', '30', '-p', String(IPERF_PORT)]);
    const argv = [IPERF, '-c', '10.20.0.1', '-p', String(IPERF_PORT), '-t', String(SECONDS), '-J'];
    const { stdout } = await runChecked(client, argv);
    const { end } = Object(JSON.parse(stdout.toString()));
    return Number(end.sum_received.bits_per_second) / 1e9;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of ['end0', 'end1', 'network']) await closeNamespace(run, join(this.#dir, name));
    await rm(this.#dir, { recursive: true });
  }
}

function compile(count: number): {
  network: Network;
  machines: readonly Machine[];
  compiled: ReturnType<typeof compileNetwork>;
} {
  const role = (index: number): object => ({ labels: { role: groupOf(index) } });
  const rules = Array.from({ length: GROUPS }, (_, index) => ({
    name: `r${String(index)}`,
    action: 'allow',
    from: role(index),
    to: role(index + 1),
    services: SERVICES,
  }));
  const json = {
    version: 1,
    tenant: 'bench',
    networks: [{ name: 'app', addresses: ['10.20.0.0/16', 'fd00:20::/64'], rules, shares: [WIDE] }],
  };
  const [network] = parsePolicy(json).networks;
  if (network === undefined) throw new Error('no network');
  const machines = parseMachines(
    Array.from({ length: count }, (_, index) => machineJson(index)),
    network,
  );
  return { network, machines, compiled: compileNetwork(network, machines) };
}

function machinesOf(count: number): readonly Machine[] {
  return compile(count).machines;
}

function groupOf(index: number): string {
  return `g${String(index % GROUPS)}`;
}

function machineJson(index: number): object {
  const mac = [0x52, 0x54, 0, 0, index >> 8, index & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  const addresses = [`10.20.${String(index >> 8)}.${String(index & 255)}`, `fd00:20::${(index + 1).toString(16)}`];
  return {
    name: `m${String(index)}`,
    labels: { role: groupOf(index) },
    addresses,
    mac,
    interface: `t${String(index)}`,
  };
}

/** What is compared with: one rule after the other, until one is about this packet. */
function ruleForEach(count: number): NftCommand[] {
  const table = { family: 'ip', table: 'each' };
  const chain = { ...table, name: 'forward', type: 'filter', hook: 'forward', prio: 0, policy: 'accept' };
  const rules = Array.from({ length: count }, (_, index) => {
    const right = `10.30.${String(index >> 8)}.${String(index & 255)}`;
    const left = { payload: { protocol: 'ip', field: 'saddr' } };
    return {
      add: { rule: { ...table, chain: 'forward', expr: [{ match: { op: '==', left, right } }, { drop: null }] } },
    };
  });
  return [{ add: { table: { family: 'ip', name: 'each' } } }, { add: { chain } }, ...rules];
}

/** A chain for each machine, found by its interface, with the checks of its sender and a rule that lets it out. */
function chainForEach(count: number): NftCommand[] {
  const table = { family: 'inet', table: 'each' };
  const chains = Array.from({ length: count }, (_, index) => {
    const { name, mac, addresses, interface: device } = Object(machineJson(index));
    const isNot = (protocol: string, right: string): NftCommand => ({
      add: {
        rule: {
          ...table,
          chain: name,
          expr: [{ match: { op: '!=', left: { payload: { protocol, field: 'saddr' } }, right } }, { drop: null }],
        },
      },
    });
    return {
      chain: { add: { chain: { ...table, name } } },
      rules: [isNot('ether', mac), isNot('ip', addresses[0]), isNot('ip6', addresses[1]), accepts(table, name)],
      jump: [device, { goto: { target: name } }],
    };
  });
  const map = { ...table, name: 'machines', type: 'ifname', map: 'verdict' };
  return [
    { add: { table: { family: 'inet', name: 'each' } } },
    ...chains.map(({ chain }) => chain),
    { add: { map } },
    { add: { element: { ...table, name: 'machines', elem: chains.map(({ jump }) => jump) } } },
    ...chains.flatMap(({ rules }) => rules),
  ];
}

function accepts(table: { family: string; table: string }, chain: string): NftCommand {
  const left = { payload: { protocol: 'tcp', field: 'dport' } };
  return { add: { rule: { ...table, chain, expr: [{ match: { op: '==', left, right: 5432 } }, { accept: null }] } } };
}

/** Time of processors that this process and its children have used: it says more than a clock where others work, too. */
function processorMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
  // proc(5): utime, stime, cutime, cstime, fields 14 to 17, in hundredths of a second.
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 10, 0);
}

/** KiB of kernel memory that is nobody's cache: sets and rules are in it, and little else moves. */
function unreclaimable(): number {
  return Number(/^SUnreclaim:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}
