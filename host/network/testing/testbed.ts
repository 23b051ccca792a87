// A network with machines, to send real packets in: its namespace, and one namespace for each machine, joined by veth pairs instead
// of taps. In each machine's namespace one process sends and receives (probe.py).
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GATEWAY_IPV4, GATEWAY_IPV6, type Machine } from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import type { NamespaceRun } from '../namespace.ts';
import { closeNamespace, connectCables, openNamespace } from '../index.ts';

const NETWORK = 'network';
const NEEDED = ['/usr/sbin/nft', '/usr/sbin/ip', '/usr/sbin/conntrack', '/usr/bin/python3'];
/** What a test that needs packets says in its name where they cannot be had. */
export const NEEDS_PACKETS: string =
  process.getuid?.() === 0 && NEEDED.every((file) => existsSync(file))
    ? ''
    : ' (skipped: needs root, nftables, iproute2, conntrack)';

export class Station {
  readonly machine: Machine;
  readonly child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(machine: Machine) {
    this.machine = machine;
    const script = join(import.meta.dirname, 'probe.py');
    this.child = spawn('/usr/bin/unshare', ['--net', '/usr/bin/python3', '-I', script, machine.name], { env: {} });
    this.child.stderr.pipe(process.stderr);
    // That it has ended is told by what reads its answers.
    this.child.stdin.on('error', () => undefined);
    this.#answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Has the station do something, and answers what it says. */
  async tell(name: string, ...args: readonly unknown[]): Promise<unknown> {
    this.child.stdin.write(`${JSON.stringify([name, ...args])}\n`);
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`${this.machine.name} ended at ${name}`);
    return JSON.parse(value);
  }
}

/** How machines are joined, and what they are told of it. */
export interface Mode {
  readonly connect: (inside: NamespaceRun, machines: readonly Machine[]) => Promise<void>;
  readonly setUp: (machine: Machine) => string;
}

const ROUTED: Mode = { connect: connectCables, setUp: guestCommands };

/** What a machine does with its card on a segment: all of its network is on the link. */
export function setUpOnSegment({ addresses }: Machine): string {
  const lines = addresses.map(({ family, text }) =>
    family === 4 ? `address add ${text}/24 dev eth0` : `address add ${text}/64 dev eth0 nodad`,
  );
  return ['link set dev lo up', 'link set dev eth0 up', ...lines, ''].join('\n');
}

export class Testbed implements AsyncDisposable {
  readonly inside: NamespaceRun;
  /** Of the network's namespace. */
  readonly file: string;
  readonly stations: readonly Station[];
  readonly #dir: string;

  private constructor(dir: string, inside: NamespaceRun, stations: readonly Station[]) {
    this.#dir = dir;
    this.file = join(dir, NETWORK);
    this.inside = inside;
    this.stations = stations;
  }

  /** Machines with cables and no walls: where they are routed, everything reaches everything. */
  static async open(machines: readonly Machine[], { connect, setUp }: Mode = ROUTED): Promise<Testbed> {
    const dir = await mkdtemp(join(tmpdir(), 'ringwall-network-'));
    await using cleanup = new AsyncDisposableStack();
    const inside = await openNamespace(run, join(dir, NETWORK));
    const stations = machines.map((machine) => new Station(machine));
    const bed = cleanup.use(new Testbed(dir, inside, stations));
    await Promise.all(stations.map((station) => station.tell('collect', 0)));
    const pairs = stations.map(({ machine, child }) => {
      const pid = child.pid ?? 0;
      return `link add ${machine.interface} type veth peer name eth0 address ${machine.mac} netns ${pid}\n`;
    });
    await runChecked(inside, ['/usr/sbin/ip', '-batch', '-'], { input: pairs.join('') });
    await connect(inside, machines);
    await Promise.all(stations.map((station) => station.tell('configure', setUp(station.machine))));
    cleanup.move();
    return bed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.stations) child.kill('SIGKILL');
    await closeNamespace(run, this.file);
    await rm(this.#dir, { recursive: true });
  }
}

/** What a machine does with its card: its addresses, alone in their prefix, and all else by the gateway on the link. */
function guestCommands({ addresses }: Machine): string {
  const lines = addresses.flatMap((address) => {
    const text = address.text;
    return address.family === 4
      ? [
          `address add ${text}/32 dev eth0`,
          `route add ${GATEWAY_IPV4} dev eth0`,
          `route add default via ${GATEWAY_IPV4} src ${text}`,
        ]
      : [`address add ${text}/128 dev eth0 nodad`, `route add default via ${GATEWAY_IPV6} dev eth0 src ${text}`];
  });
  return ['link set dev lo up', 'link set dev eth0 up', ...lines, ''].join('\n');
}
