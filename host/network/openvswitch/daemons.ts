// The two programs of an Open vSwitch, for one network alone and each in a jail: its data base, and the switch itself, in the network's
// namespace. They go on when we die, and are found again by their leases. Their tools run as the switch's user: what a program says
// that parses packets of machines is read by nobody with rights.
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api/errors';
import { SWITCH_DEVICE } from '@ringwall/netpolicy';
import { isAlive, run, runChecked, type RunOptions, type RunResult } from '../../exec/index.ts';
import {
  boundRunFile,
  endedAtStart,
  endLease,
  JAIL_PROGRAMS,
  makePassable,
  readClosure,
  startJail,
  type JailOptions,
  type Lease,
  type UidLeases,
} from '../../jail/index.ts';

export const OPENVSWITCH_PROGRAMS = {
  dataBase: '/usr/sbin/ovsdb-server',
  switch: '/usr/sbin/ovs-vswitchd',
  flows: '/usr/bin/ovs-ofctl',
  settings: '/usr/bin/ovs-vsctl',
  control: '/usr/bin/ovs-appctl',
  make: '/usr/bin/ovsdb-tool',
} as const;
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
/** Of the switch, whatever the network: there is one in a namespace. */
export const SWITCH = SWITCH_DEVICE;

const MIB = 1024 * 1024;
/** Some MiB; 1,024 ports and their state 20. */
const DATA_BASE_LIMITS = {
  memoryBytes: 128 * MIB,
  tasks: 8,
  cpus: 1,
  openFiles: 64,
  fileBytes: 64 * MIB,
  runDirBytes: 2 * MIB,
} as const;
/** Packets on their way, what is known of connections (three million at most by itself: less fit here), flows in use. */
const SWITCH_LIMITS = {
  memoryBytes: 1_024 * MIB,
  tasks: 64,
  cpus: 4,
  openFiles: 8_192,
  fileBytes: 8 * MIB,
  runDirBytes: 4 * MIB,
} as const;
const LOG_LIMITS = { maxBytes: MIB / 2, keepBytes: MIB / 8 } as const;
/** Where programs of Open vSwitch make their sockets: a name in them. */
const SOCKETS = '/var/run/openvswitch';
const DATA_BASE_DIR = '/db';
/** Where the data base finds the same: it wants to write a temporary file, too, whose folder is a name in libc. */
const DATA_BASE_OWN_DIR = '/tmp';
const START_TIMEOUT_MS = 45_000;
const POLL_MS = 10;
/** 1,024 ports, some flows for each. */
const TOOL_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES: number = 64 * MIB;

export interface SwitchPlace {
  /** The network's id. */
  readonly id: string;
  /** A folder of its own, in one that is for such folders alone; those above let others pass. */
  readonly dir: string;
  /** The file that pins the network's namespace. */
  readonly namespace: string;
  readonly leases: UidLeases;
}

export class SwitchDaemons {
  readonly #place: SwitchPlace;

  constructor(place: SwitchPlace) {
    this.#place = place;
  }

  /** Starts what does not run. A switch that was started has forgotten its flows and connections. */
  async serve(): Promise<{ readonly started: boolean }> {
    const runs = await this.#switchRuns();
    if (!runs) await this.#end('switch');
    if (this.dataBase === undefined) {
      await this.#end('database');
      // While a switch runs, its ports are what the data base says, which must not be less all at once.
      if (!runs) await rm(this.#dataBaseDir, { recursive: true, force: true });
      await this.#startDataBase();
    }
    if (!runs) {
      await this.configure(['--no-wait', ...beginning(existsSync(KERNEL_MODULE))]);
      await this.#startSwitch();
    }
    return { started: !runs };
  }

  get running(): boolean {
    return this.dataBase !== undefined && this.process !== undefined;
  }

  /** The switch's process. */
  get process(): Lease['process'] {
    return this.#isAlive('switch') ? this.#lease('switch')?.process : undefined;
  }

  get dataBase(): Lease['process'] {
    return this.#isAlive('database') ? this.#lease('database')?.process : undefined;
  }

  /** Ends both, with all that was made for them. Idempotent. */
  async stop(): Promise<void> {
    await this.#end('switch');
    await this.#end('database');
    await rm(this.#place.dir, { recursive: true, force: true });
  }

  async boundLogs(): Promise<void> {
    for (const part of ['database', 'switch'] as const) await boundRunFile(this.#runDir(part), 'log', LOG_LIMITS);
  }

  /** ovs-vsctl(8), which waits until the switch has done it unless told otherwise. */
  async configure(args: readonly string[]): Promise<string> {
    const { stdout } = await runChecked(
      (argv, options) => this.#tool('database', argv, options),
      [OPENVSWITCH_PROGRAMS.settings, `--db=unix:${join(this.#dataBaseDir, 'db.sock')}`, ...args],
    );
    return stdout.toString();
  }

  /** ovs-ofctl(8). `command` goes before the switch, `args` behind it. */
  flows(command: readonly string[], args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { flows } = OPENVSWITCH_PROGRAMS;
    return this.#tool('switch', [flows, '-O', 'OpenFlow15', ...command, `unix:${this.flowSocket}`, ...args], options);
  }

  /** Where it speaks OpenFlow. */
  get flowSocket(): string {
    return join(this.#sockets, `${SWITCH}.mgmt`);
  }

  get controlSocket(): string {
    return join(this.#sockets, 'control');
  }

  /** ovs-appctl(8). */
  async control(args: readonly string[]): Promise<string> {
    const { stdout } = await runChecked(
      (argv, options) => this.#tool('switch', argv, options),
      [OPENVSWITCH_PROGRAMS.control, '-t', this.controlSocket, ...args],
    );
    return stdout.toString();
  }

  #tool(part: Part, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const uid = this.#lease(part)?.uid;
    if (uid === undefined) throw new RingwallError('network-failed', 'the switch of the network does not run');
    return run(argv, { timeoutMs: TOOL_TIMEOUT_MS, maxOutputBytes: MAX_OUTPUT_BYTES, ...options, uid, gid: uid });
  }

  async #startDataBase(): Promise<void> {
    const { dir } = this.#place;
    const file = join(this.#dataBaseDir, 'conf.db');
    for (const passed of [dirname(dir), dir]) await makePassable(passed);
    await mkdir(this.#dataBaseDir, { recursive: true, mode: 0o700 });
    if (!existsSync(file)) await runChecked(run, [OPENVSWITCH_PROGRAMS.make, 'create', file, SCHEMA]);
    const socket = join(this.#dataBaseDir, 'db.sock');
    await this.#start('database', DATA_BASE_LIMITS, socket, {
      profile: 'switch',
      urandom: true,
      readOnly: await readClosure(run, [OPENVSWITCH_PROGRAMS.dataBase]),
      ownedDir: { source: this.#dataBaseDir, target: DATA_BASE_OWN_DIR },
      command: () => [
        OPENVSWITCH_PROGRAMS.dataBase,
        `${DATA_BASE_OWN_DIR}/conf.db`,
        `--remote=punix:${DATA_BASE_OWN_DIR}/db.sock`,
        '--unixctl=none',
        ...COMMON,
      ],
    });
    const running = this.#lease('switch')?.uid;
    if (running !== undefined) await this.#shareDataBase(running);
  }

  /** With the switch, who is another user, and with nobody else of this host: whoever talks to the data base says what the switch does. */
  async #shareDataBase(switchUid: number): Promise<void> {
    const uid = this.#lease('database')?.uid ?? 0;
    for (const [path, mode] of [
      [this.#dataBaseDir, 0o710],
      [join(this.#dataBaseDir, 'db.sock'), 0o660],
    ] as const) {
      await chown(path, uid, switchUid);
      await chmod(path, mode);
    }
  }

  async #startSwitch(): Promise<void> {
    await mkdir(this.#sockets, { recursive: true, mode: 0o700 });
    await this.#start('switch', SWITCH_LIMITS, this.flowSocket, {
      profile: 'switch',
      network: this.#place.namespace,
      // Packet sockets, and its interfaces brought up: in that namespace, which is the network's alone.
      capabilities: ['net_admin', 'net_raw'],
      taps: true,
      urandom: true,
      readOnly: [
        ...(await readClosure(run, [JAIL_PROGRAMS.setpriv, OPENVSWITCH_PROGRAMS.switch])),
        { source: this.#dataBaseDir, target: DATA_BASE_DIR },
      ],
      ownedDir: { source: this.#sockets, target: SOCKETS },
      prepare: (uid) => this.#shareDataBase(uid),
      command: () => [
        OPENVSWITCH_PROGRAMS.switch,
        `unix:${DATA_BASE_DIR}/db.sock`,
        `--unixctl=${SOCKETS}/control`,
        ...COMMON,
      ],
    });
  }

  async #start(
    part: Part,
    limits: typeof DATA_BASE_LIMITS | typeof SWITCH_LIMITS,
    socket: string,
    how: Pick<
      JailOptions,
      'profile' | 'network' | 'capabilities' | 'taps' | 'urandom' | 'readOnly' | 'ownedDir' | 'prepare' | 'command'
    >,
  ): Promise<void> {
    const { id, leases } = this.#place;
    const jail = await startJail({
      ...how,
      purpose: this.#purpose(part),
      name: `${id}-${part}`,
      leases,
      runDir: this.#runDir(part),
      runDirBytes: limits.runDirBytes,
      cgroup: limits,
      limits,
      failure: 'network-failed',
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await listens(socket))) {
      if (!isAlive(jail.process)) {
        const error = await endedAtStart('network-failed', this.#purpose(part), jail);
        await this.#end(part);
        throw error;
      }
      if (performance.now() > deadline) {
        await this.#end(part);
        throw new RingwallError('network-failed', `${this.#purpose(part)} is not up in ${START_TIMEOUT_MS / 1000} s`);
      }
      await sleep(POLL_MS);
    }
  }

  /** In this namespace, and not in one that was there before. */
  async #switchRuns(): Promise<boolean> {
    const pid = this.process?.pid;
    if (pid === undefined) return false;
    const [own, wanted] = [`/proc/${pid}/ns/net`, this.#place.namespace].map((path) =>
      stat(path).catch(() => undefined),
    );
    return (await own)?.ino === (await wanted)?.ino;
  }

  async #end(part: Part): Promise<void> {
    const lease = this.#lease(part);
    if (lease !== undefined) await endLease(this.#place.leases, lease);
  }

  #isAlive(part: Part): boolean {
    const process = this.#lease(part)?.process;
    return process !== undefined && isAlive(process);
  }

  #lease(part: Part): Lease | undefined {
    return this.#place.leases.list().find(({ purpose }) => purpose === this.#purpose(part));
  }

  #purpose(part: Part): string {
    return `${this.#place.id} ${part}`;
  }

  #runDir(part: Part): string {
    return join(this.#place.dir, `${part}-run`);
  }

  get #dataBaseDir(): string {
    return join(this.#place.dir, 'database');
  }

  get #sockets(): string {
    return join(this.#place.dir, 'sockets');
  }
}

type Part = 'database' | 'switch';

/** Where this kernel has a switch of its own. */
const KERNEL_MODULE = '/sys/module/openvswitch';

/**
 * What is in the data base before the switch reads it: no controller, no protocol of neighbours, nothing that is learned; and nothing
 * passes until somebody has brought the flows. In user space, packets come from a guest's card with what its host shall still do to
 * them (sums, segments).
 */
function beginning(kernel: boolean): string[] {
  const bridge = [`datapath_type=${kernel ? 'system' : 'netdev'}`, 'fail_mode=secure', 'protocols=OpenFlow15'];
  return [
    ...['--', 'set', 'Open_vSwitch', '.', `${UNTIL_FLOWS}=true`],
    ...(kernel ? [] : ['other_config:userspace-tso-enable=true']),
    ...['--', '--may-exist', 'add-br', SWITCH],
    ...[
      '--',
      'set',
      'Bridge',
      SWITCH,
      ...bridge,
      'stp_enable=false',
      'rstp_enable=false',
      'mcast_snooping_enable=false',
    ],
    ...['other_config:disable-in-band=true', 'other_config:forward-bpdu=false'],
  ];
}

/** ovs-vswitchd.conf.db(5). */
export const UNTIL_FLOWS = 'other_config:flow-restore-wait';

/** It stays in the foreground, in the folder where it is, and says what it has to say to the jail's log alone. */
const COMMON = ['--no-chdir', '--verbose=syslog:off', '--verbose=console:warn'] as const;

/** A program names its socket before it listens. */
function listens(path: string): Promise<boolean> {
  const socket = connect(path);
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
