// OVN's compiler, the peer that the walls of a network are compared with: the same machines, groups and rules in a northbound database of
// its own (RFC 7047), and how long ovn-northd takes until the southbound one has what it makes of them. Loading that into a switch
// would come on top.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, runChecked } from '@ringwall/host/exec';

const SCHEMAS = '/usr/share/ovn';
const NORTHD = '/usr/bin/ovn-northd';
const [SERVER, TOOL] = ['/usr/sbin/ovsdb-server', '/usr/bin/ovsdb-tool'];
const POLL_MS = 5;
/** It was seen to take 22 s. */
const PATIENCE_MS = 180_000;

export const HAS_OVN: boolean = [NORTHD, SERVER, TOOL].every((file) => existsSync(file));

export interface OvnMachine {
  readonly name: string;
  readonly group: string;
  readonly mac: string;
  readonly addresses: readonly string[];
}

export interface OvnRule {
  readonly from: string;
  readonly to: string;
  /** As OVN writes them: `tcp.dst == 80`. */
  readonly matches: readonly string[];
}

type Operation = Readonly<Record<string, unknown>>;

/** One logical switch, in which what no rule allows is dropped. */
export class Ovn implements AsyncDisposable {
  readonly #dir: string;
  readonly #children: ChildProcess[] = [];
  readonly #socket: Socket;
  #ids = 0;
  #changes = 0;

  private constructor(dir: string, socket: Socket, children: ChildProcess[]) {
    this.#dir = dir;
    this.#socket = socket;
    this.#children = children;
  }

  /** Empty databases on sockets of a folder of their own, and a northd that waits for something to do. */
  static async open(): Promise<Ovn> {
    const dir = await mkdtemp(join(tmpdir(), 'ringwall-ovn-'));
    const children: ChildProcess[] = [];
    const start = (file: string, ...args: readonly string[]): void => {
      children.push(spawn(file, [...args, '-vconsole:off', '-vsyslog:off'], { env: {}, stdio: 'ignore' }));
    };
    for (const name of ['nb', 'sb']) {
      await runChecked(run, [TOOL, 'create', join(dir, `${name}.db`), join(SCHEMAS, `ovn-${name}.ovsschema`)]);
      const remote = `--remote=punix:${join(dir, `${name}.sock`)}`;
      start(SERVER, join(dir, `${name}.db`), remote, `--unixctl=${join(dir, `${name}.ctl`)}`);
    }
    for (const name of ['nb', 'sb']) while (!existsSync(join(dir, `${name}.sock`))) await sleep(POLL_MS);
    const socket = createConnection(join(dir, 'nb.sock'));
    const ovn = new Ovn(dir, socket, children);
    await ovn.#transact([{ op: 'insert', table: 'NB_Global', row: {} }]);
    const [nb, sb] = ['nb', 'sb'].map((name) => `--ovn${name}-db=unix:${join(dir, `${name}.sock`)}`);
    start(NORTHD, nb ?? '', sb ?? '', `--unixctl=${join(dir, 'northd.ctl')}`);
    await ovn.#untilCompiled([]);
    return ovn;
  }

  /** Milliseconds until all of it is compiled, from when the database has it. */
  compile(machines: readonly OvnMachine[], rules: readonly OvnRule[]): Promise<number> {
    const acls = [
      ...rules.flatMap(({ from, to, matches }) =>
        matches.map((match) => ({
          priority: 1_001,
          match: `inport == @${from} && (ip4.dst == $${to}_ip4 || ip6.dst == $${to}_ip6) && (${match})`,
          action: 'allow-related',
        })),
      ),
      { priority: 1_000, match: 'ip', action: 'drop' },
    ];
    const aclRows = acls.map((acl, index) => ({
      op: 'insert',
      table: 'ACL',
      'uuid-name': `acl${index}`,
      row: { ...acl, direction: 'from-lport' },
    }));
    const groups = [...new Set(machines.map(({ group }) => group))];
    return this.#untilCompiled([
      ...machines.map((machine, index) => portRow(machine, `p${index}`)),
      ...aclRows,
      ...groups.map((group) => ({
        op: 'insert',
        table: 'Port_Group',
        row: {
          name: group,
          ports: setOf(machines.flatMap((machine, index) => (machine.group === group ? [`p${index}`] : []))),
        },
      })),
      {
        op: 'insert',
        table: 'Logical_Switch',
        row: {
          name: 'app',
          ports: setOf(machines.map((_, index) => `p${index}`)),
          acls: setOf(aclRows.map((row) => row['uuid-name'])),
        },
      },
    ]);
  }

  /** Milliseconds until one machine more is compiled. */
  admit(machine: OvnMachine): Promise<number> {
    const added = ['ports', 'insert', setOf(['more'])];
    return this.#untilCompiled([
      portRow(machine, 'more'),
      { op: 'mutate', table: 'Port_Group', where: [['name', '==', machine.group]], mutations: [added] },
      { op: 'mutate', table: 'Logical_Switch', where: [['name', '==', 'app']], mutations: [added] },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await Promise.all(
      this.#children.map(async (child) => {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        if (child.exitCode !== null || !child.kill('SIGKILL')) return;
        await gone;
      }),
    );
    await rm(this.#dir, { recursive: true });
  }

  /** ovn-nb(5): northd writes the number of the change that it has compiled beside the number that it was told. */
  async #untilCompiled(operations: readonly Operation[]): Promise<number> {
    this.#changes += 1;
    const told = { op: 'update', table: 'NB_Global', where: [], row: { nb_cfg: this.#changes } };
    await this.#transact([...operations, told]);
    const startedAt = performance.now();
    while (performance.now() - startedAt < PATIENCE_MS) {
      const answer = await this.#transact([{ op: 'select', table: 'NB_Global', where: [], columns: ['sb_cfg'] }]);
      if (Object(Object(answer[0]).rows?.[0]).sb_cfg === this.#changes) return performance.now() - startedAt;
      await sleep(POLL_MS);
    }
    throw new Error(`ovn-northd compiled nothing in ${PATIENCE_MS / 1_000} s`);
  }

  #transact(operations: readonly Operation[]): Promise<unknown[]> {
    this.#ids += 1;
    const id = this.#ids;
    return new Promise((resolve, reject) => {
      let text = '';
      const take = (chunk: Buffer): void => {
        text += chunk.toString();
        if (!text.endsWith('}')) return;
        let message: unknown;
        try {
          message = JSON.parse(text);
        } catch {
          return;
        }
        text = '';
        const { id: of, result, error } = Object(message);
        if (of !== id) return;
        this.#socket.off('data', take);
        const failed = Array.isArray(result) ? result.find((each) => 'error' in Object(each)) : error;
        if (failed !== undefined) reject(new Error(`the northbound database refuses: ${JSON.stringify(failed)}`));
        else resolve(result);
      };
      this.#socket.on('data', take);
      this.#socket.write(JSON.stringify({ id, method: 'transact', params: ['OVN_Northbound', ...operations] }));
    });
  }
}

function portRow({ name, mac, addresses }: OvnMachine, id: string): Operation {
  const text = [mac, ...addresses].join(' ');
  return {
    op: 'insert',
    table: 'Logical_Switch_Port',
    'uuid-name': id,
    row: { name, addresses: text, port_security: text },
  };
}

function setOf(ids: readonly string[]): unknown {
  return ['set', ids.map((id) => ['named-uuid', id])];
}
