// One switch: its ports, flows and meters, driven by its own tools. It learns nothing and floods nothing, for there is no flow that
// would; where it has no flows, or lost them, it drops everything (`fail_mode=secure`).
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { RingwallError } from '@ringwall/api/errors';
import { type Machine, type OpenFlowRules, PING6_ZONE, SWITCH_ZONE, switchIndex } from '@ringwall/netpolicy';

import { runChecked, type RunResult } from '../../exec/index.ts';
import { type BrokenCable, cutCable, listIn } from '../cables.ts';
import type { Beginning } from '../connections.ts';
import type { NamespaceRun } from '../namespace.ts';
import { connectionsIn, flushEach } from './connections.ts';
import { countFlows, type FlowCounts } from './counts.ts';
import { SWITCH, SwitchDaemons, type SwitchPlace, UNTIL_FLOWS } from './daemons.ts';
import { type MeterChange, metersIn, setMeters, type SwitchMeters } from './meters.ts';

const IP = '/usr/sbin/ip';
/** OFPP_MAX of OpenFlow 1.0, above which Open vSwitch has ports of its own. */
const LAST_PORT = 0xfeff;
/** Ports on one command line: some 100 bytes each. */
const PORTS_AT_ONCE = 256;
/** ovs-vswitchd.conf.db(5), QoS: who cares for the queue is somebody else. */
const OWN_QUEUE = 'linux-noop';
/** How much of ovs-ofctl's words an error repeats. */
const SHOWN_CHARACTERS = 400;
/** diff(1) and `ovs-ofctl diff-flows`: there are differences. */
const DIFFERENT = 2;
/** To be ended one by one, in a second or two. */
const MAX_ENDED = 16_384;

export class Switch {
  readonly daemons: SwitchDaemons;
  readonly #inside: NamespaceRun;
  readonly #place: SwitchPlace;
  /** Of interfaces: each keeps its number for as long as flows may mean it. */
  #ports: Map<string, number> | undefined;
  /** What it was told last, or has itself, by their number. */
  #meters: SwitchMeters | undefined;
  /** What it was told last, by what each flow matches. */
  #flows: ReadonlyMap<string, string> | undefined;

  constructor(inside: NamespaceRun, place: SwitchPlace) {
    this.#inside = inside;
    this.#place = place;
    this.daemons = new SwitchDaemons(place);
  }

  /** Has it run; where it had to be started, nothing passes until it has rules again. */
  async open(): Promise<{ readonly started: boolean }> {
    const { started } = await this.daemons.serve();
    if (started) {
      this.#meters = new Map();
      this.#flows = undefined;
    }
    await this.#openLog();
    this.#ports ??= new Map(
      (await this.#listPorts()).flatMap(({ name, wanted }) => (wanted === undefined ? [] : [[name, wanted] as const])),
    );
    return { started };
  }

  /** The number of an interface's port, which it gets when it is connected. */
  portOf(device: string): number {
    const ports = (this.#ports ??= new Map<string, number>());
    const known = ports.get(device);
    if (known !== undefined) return known;
    const taken = new Set(ports.values());
    let port = 1;
    while (taken.has(port)) port += 1;
    if (port > LAST_PORT) throw new RingwallError('network-failed', `a switch has no more than ${LAST_PORT} ports`);
    ports.set(device, port);
    return port;
  }

  /** By the number of their port. */
  devices(): ReadonlyMap<number, string> {
    return new Map(Array.from(this.#ports ?? [], ([device, port]) => [port, device]));
  }

  /** By which the log names machines that have a port. */
  indexes(machines: readonly Machine[]): ReadonlyMap<Machine, number> {
    return new Map(
      machines.flatMap((machine) => {
        const port = this.#ports?.get(machine.interface);
        return port === undefined ? [] : [[machine, switchIndex(port)] as const];
      }),
    );
  }

  /** Puts these rules in force in one step, and no others; refused, those before are still in force. */
  async apply(rules: OpenFlowRules): Promise<void> {
    await this.#setMeters(rules);
    const before = this.#flows;
    const [command, lines] =
      before === undefined
        ? ['replace-flows', [...rules.flows.values()]]
        : ['add-flows', differences(before, rules.flows)];
    if (before === undefined || lines.length > 0) {
      const { code, stderr } = await this.daemons.flows(['--bundle', command], ['-'], { input: lines.join('\n') });
      if (code !== 0) throw refusal(stderr, lines);
    }
    this.#flows = rules.flows;
    const file = this.#flowFile;
    await writeFile(`${file}.new`, [...rules.flows.values(), ''].join('\n'));
    // Read by the switch's user, whatever our umask.
    await chmod(`${file}.new`, 0o644);
    await rename(`${file}.new`, file);
    await this.daemons.configure(['--no-wait', 'remove', 'Open_vSwitch', '.', ...UNTIL_FLOWS.split(':')]);
  }

  /** Whether its meters and flows are those that it was told, and its log has a place to go. */
  async isAsTold(): Promise<boolean> {
    if (this.#flows === undefined || this.#meters === undefined || !this.daemons.running) return false;
    if (!(await this.#logIsOpen())) return false;
    const has = await this.#listMeters();
    for (const [id, meter] of this.#meters) if (!isDeepStrictEqual(has.get(id), meter)) return false;
    const { code, stderr } = await this.daemons.flows(['diff-flows'], [this.#flowFile]);
    if (code !== 0 && code !== DIFFERENT) throw new RingwallError('network-failed', shown(stderr));
    return code === 0;
  }

  /** What its flows have counted since it was started, or they were put in. */
  async counts(): Promise<FlowCounts> {
    const { code, stdout, stderr } = await this.daemons.flows(['dump-flows'], []);
    if (code !== 0) throw new RingwallError('network-failed', shown(stderr));
    return countFlows(stdout.toString());
  }

  /** Which it knows, and how many it may; undefined where its datapath does not say. */
  async connections(): Promise<{ readonly known: number; readonly limit: number } | undefined> {
    const [known, limit] = await Promise.all(
      ['dpctl/ct-get-nconns', 'dpctl/ct-get-maxconns'].map((what) => this.daemons.control([what]).then(Number)),
    ).catch(() => []);
    return known === undefined || limit === undefined ? undefined : { known, limit };
  }

  /** Somebody else has changed what it was told: what it has now, is not known. */
  forgetTold(): void {
    this.#meters = undefined;
    this.#flows = undefined;
  }

  /** Ports of interfaces that are in the namespace. Doing it again changes nothing. */
  async connect(machines: readonly Machine[]): Promise<void> {
    if (machines.length === 0) return;
    const up = machines.flatMap(({ interface: device }) => [
      `link set dev ${device} addrgenmode none`,
      `link set dev ${device} up`,
    ]);
    await runChecked(this.#inside, [IP, '-batch', '-'], { input: `${up.join('\n')}\n` });
    const queue = await this.#ownQueue();
    for (let from = 0; from < machines.length; from += PORTS_AT_ONCE) {
      const some = machines.slice(from, from + PORTS_AT_ONCE).map(({ interface: device }) => device);
      await this.daemons.configure(some.flatMap((device) => portCommand(device, this.portOf(device), queue)));
    }
    const broken = await this.broken(machines);
    if (broken.length === 0) return;
    const names = broken.slice(0, 3).map(({ machine }) => machine.interface);
    throw new RingwallError('network-failed', `the switch has no port for ${names.join(', ')}`);
  }

  /** Looks at the ports of machines that are connected. */
  async broken(machines: readonly Machine[]): Promise<BrokenCable[]> {
    if (machines.length === 0) return [];
    const { stdout } = await runChecked(this.#inside, [IP, '-json', 'link'], { maxOutputBytes: MAX_LISTING_BYTES });
    const up = new Map(
      listIn(stdout.toString()).map(({ ifname, flags }) => [ifname, Array.isArray(flags) && flags.includes('UP')]),
    );
    const ports = this.daemons.running ? await this.#listPorts() : [];
    const has = new Map(ports.map(({ name, has: number }) => [name, number]));
    return machines.flatMap((machine): BrokenCable[] => {
      const device = machine.interface;
      if (!up.has(device)) return [{ machine, how: 'gone' }];
      const port = this.#ports?.get(device);
      return up.get(device) === true && port !== undefined && has.get(device) === port
        ? []
        : [{ machine, how: 'changed' }];
    });
  }

  /** Takes machines off at once, with all their connections. An interface or port that is gone is no error. */
  async cut(machines: readonly Machine[]): Promise<void> {
    if (machines.length === 0) return;
    await cutCable(this.#inside, ...machines);
    // A switch that does not run lets nothing pass, and has forgotten all connections.
    if (!this.daemons.running) return;
    const own = new Set(machines.flatMap(({ addresses }) => addresses.map(({ text }) => text)));
    await this.#endEach(({ from, to }) => own.has(from.text) || own.has(to.text));
    await this.#removePorts(machines.map(({ interface: device }) => device));
  }

  /**
   * Ends the connections that may not begin any more; answers how many those were. Where one is a ping of IPv6, all of these are
   * forgotten, and where they are too many, everything is: whoever sends next is asked anew.
   */
  async endConnections(mayBegin: (begun: Beginning) => boolean): Promise<number> {
    if (!this.daemons.running) return 0;
    // What was told it last holds for packets a moment later: until then, connections begin by the rules of before.
    await this.daemons.control(['revalidator/wait']);
    return this.#endEach((begun) => !mayBegin(begun));
  }

  /** Frees the ports of all others: no flow means them any more. */
  async keepPorts(devices: ReadonlySet<string>): Promise<void> {
    const others = [...(this.#ports?.keys() ?? [])].filter((device) => !devices.has(device));
    if (others.length === 0) return;
    await this.#removePorts(others);
    for (const device of others) this.#ports?.delete(device);
  }

  /** Ends it. Idempotent. */
  close(): Promise<void> {
    return this.daemons.stop();
  }

  /** Its own interface, where the kernel logs what it is handed (lib/netpolicy/src/switch-log.ts), has no address and asks for none. */
  async #openLog(): Promise<void> {
    if (await this.#logIsOpen()) return;
    const lines = [`link set dev ${SWITCH} addrgenmode none`, `link set dev ${SWITCH} up`, ''];
    await runChecked(this.#inside, [IP, '-batch', '-'], { input: lines.join('\n') });
  }

  async #logIsOpen(): Promise<boolean> {
    const { stdout } = await this.#inside([IP, '-json', 'link', 'show', 'dev', SWITCH, 'up']);
    return listIn(stdout.toString()).some(({ ifname }) => ifname === SWITCH);
  }

  async #endEach(isToEnd: (begun: Beginning) => boolean): Promise<number> {
    const listed = connectionsIn(await this.daemons.control(['dpctl/dump-conntrack']));
    const ended = listed.filter(({ begun }) => isToEnd(begun));
    const tuples = ended.flatMap(({ tuple }) => tuple ?? []);
    if (tuples.length > MAX_ENDED) await this.daemons.control(['dpctl/flush-conntrack', `zone=${SWITCH_ZONE}`]);
    else await flushEach(this.daemons.controlSocket, SWITCH_ZONE, tuples);
    if (tuples.length < ended.length) await this.daemons.control(['dpctl/flush-conntrack', `zone=${PING6_ZONE}`]);
    return ended.length;
  }

  /** What ports say by which a switch leaves the cable's own queue, where shares are (host/network/shares), as it is; else it takes it away. */
  async #ownQueue(): Promise<string> {
    const find = ['--bare', '--columns=_uuid', 'find', 'QoS', `type=${OWN_QUEUE}`];
    const [known] = (await this.daemons.configure(find)).split('\n');
    if (known !== undefined && known !== '') return known;
    return (await this.daemons.configure(['create', 'QoS', `type=${OWN_QUEUE}`])).trim();
  }

  async #removePorts(devices: readonly string[]): Promise<void> {
    for (let from = 0; from < devices.length; from += PORTS_AT_ONCE) {
      const some = devices.slice(from, from + PORTS_AT_ONCE);
      await this.daemons.configure(some.flatMap((device) => ['--', '--if-exists', 'del-port', SWITCH, device]));
    }
  }

  /** Before flows that ask them; what nothing asks any more is left, for the next one with that port. */
  async #setMeters({ meters }: OpenFlowRules): Promise<void> {
    const known = this.#meters ?? (await this.#listMeters());
    const changes = meters.flatMap((meter): MeterChange[] => {
      if (!known.has(meter.id)) return [{ command: 'add', meter }];
      return isDeepStrictEqual(known.get(meter.id), meter) ? [] : [{ command: 'modify', meter }];
    });
    // Refused, it is not known which of them are as asked.
    this.#meters = undefined;
    await setMeters(this.daemons.flowSocket, changes);
    this.#meters = new Map([...known, ...meters.map((meter) => [meter.id, meter] as const)]);
  }

  async #listMeters(): Promise<SwitchMeters> {
    const { code, stdout, stderr } = await this.daemons.flows(['dump-meters'], []);
    if (code !== 0) throw new RingwallError('network-failed', shown(stderr));
    return metersIn(stdout.toString());
  }

  async #listPorts(): Promise<PortRow[]> {
    const columns = '--columns=name,ofport,ofport_request';
    return parsePorts(await this.daemons.configure(['--format=json', columns, 'list', 'Interface']));
  }

  get #flowFile(): string {
    return join(this.#place.dir, 'flows');
  }
}

const MAX_LISTING_BYTES: number = 8 * 1024 * 1024;

interface PortRow {
  readonly name: string;
  /** Undefined where it has none, or has none yet. */
  readonly has: number | undefined;
  readonly wanted: number | undefined;
}

/** Pure: what `ovs-vsctl --format=json` says; a column without a value is a set without members. */
export function parsePorts(listing: string): PortRow[] {
  const { data } = Object(JSON.parse(listing));
  if (!Array.isArray(data)) throw new RingwallError('network-failed', 'ovs-vsctl lists no ports');
  const numberIn = (value: unknown): number | undefined =>
    typeof value === 'number' && value > 0 && value <= LAST_PORT ? value : undefined;
  return data.flatMap((row) => {
    const [name, has, wanted] = Array.isArray(row) ? row : [];
    return typeof name === 'string' ? [{ name, has: numberIn(has), wanted: numberIn(wanted) }] : [];
  });
}

/** Pure; the interface was checked by parseMachines(). */
export function portCommand(device: string, port: number, queue: string): string[] {
  return [
    ...['--', '--may-exist', 'add-port', SWITCH, device],
    ...['--', 'set', 'Interface', device, `ofport_request=${port}`],
    ...['--', 'set', 'Port', device, `qos=${queue}`],
  ];
}

/** Lines of a bundle (ovs-ofctl(8), "Flow Mod"): what goes, then what comes. */
export function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const gone = [...before.keys()].filter((match) => !after.has(match)).map((match) => `delete_strict ${match}`);
  const come = [...after].filter(([match, text]) => before.get(match) !== text).map(([, text]) => `add ${text}`);
  return [...gone, ...come];
}

/** With the line at fault, which ovs-ofctl names by its number, or the switch by the whole flow. */
function refusal(stderr: RunResult['stderr'], lines: readonly string[]): RingwallError {
  const said = stderr.toString();
  const number = /:(\d+): /.exec(said)?.[1];
  const line = number === undefined ? undefined : lines[Number(number) - 1];
  const place = line === undefined ? '' : ` (${line})`;
  return new RingwallError('network-failed', `the switch refuses its flows: ${shown(stderr)}${place}`, {
    hint: 'the flows that stood before are still in force',
  });
}

function shown(stderr: RunResult['stderr']): string {
  const line = stderr.toString().trim().replaceAll(/\s+/g, ' ');
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line;
}
