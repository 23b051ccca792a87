// A ringwalld for tests of the command line: the REST contract on a Unix socket, with machines that only exist here.
// What it answers is checked against the schemas of @ringwall/api, so that it cannot drift from the real one.
import { planBackupsSchema } from '@ringwall/api/backups';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import {
  BUILD_HEADER,
  healthSchema,
  hostReportSchema,
  imageListSchema,
  HTTP_STATUS_OF_ERROR,
  METRICS_PATH,
  machineDetailSchema,
  machineListSchema,
  machineSchema,
  operationSchema,
  RingwallError,
  type Health,
  type HostReport,
  type Image,
  type Machine,
  type MachineDetail,
  type Operation,
  type ProcessName,
} from '@ringwall/api';
import type { ShownDisk } from '@ringwall/api/disks';
import { cloneMachineSchema, type CloneMachine } from '@ringwall/api/snapshots';
import { FakeNetworks } from './fake-networks.ts';
import { FAKE_NOW } from './fake-now.ts';
import { FakeReferences } from './fake-references.ts';
import { FakeSnapshots } from './fake-snapshots.ts';

export { FAKE_NOW };

const BOOT = '0123456789abcdef0123456789abcdef';
const EMULATED = 'emulated: no isolation boundary';

export class FakeApi implements AsyncDisposable {
  readonly directory: string;
  readonly socketPath: string;
  /** `METHOD path` of each request, in order. */
  readonly requests: string[] = [];
  /** The bodies of those that had one. */
  readonly bodies: unknown[] = [];
  readonly machines = new Map<string, Machine>();
  processes: Health['processes'] = FAKE_HOST.processes.map((process) => ({ ...process, state: 'up' }));
  hostProcesses: Health['processes'] = this.processes;
  readonly consoles: Duplex[] = [];
  log: Buffer = Buffer.from('Ringwall hello\r\n\u001b[31mattested\u001b[0m \u001b]0;owned\u0007ok\r\n# ');
  readonly references: FakeReferences = new FakeReferences();
  readonly networks: FakeNetworks = new FakeNetworks(FAKE_NOW);
  readonly snapshots: FakeSnapshots = new FakeSnapshots();
  notices: readonly string[] = [];
  operations = 0;
  /** What a machine that is asked for turns out to be. */
  made: Partial<Machine['status']> = {};
  proof: unknown = {};
  /** The next long work ends with this instead. */
  nextFailure: RingwallError | undefined;
  /** What the broker has signed of a machine that is gone. */
  erasure: unknown;
  /** Those that were imported. */
  disks: readonly ShownDisk[] = [];
  /** Every request is answered with this. */
  refuseAll: RingwallError | undefined;
  /** The build that every answer names. */
  build: string | undefined;
  /** The next operation waits for this service before it goes on. */
  waitsFor: ProcessName | undefined;
  images: Image[] = [
    builtImage({ name: 'hello', title: 'the smallest', built: true }, 'ab'),
    { name: 'debian', title: 'Debian 12', built: false },
  ];
  /** A byte of the digest that the next build comes out with. */
  nextDigest = 'cd';
  /** How often an operation's stream breaks before it tells the end. */
  brokenStreams = 0;
  readonly #server: Server;
  readonly #failures = new Map<string, RingwallError>();
  /** What an operation ends with, where that is not `done`. */
  readonly #endings = new Map<string, string>();
  #operations = 0;

  private constructor(directory: string) {
    this.directory = directory;
    this.socketPath = join(directory, 'api.sock');
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        const known = error instanceof RingwallError ? error : new RingwallError('internal', String(error));
        response.writeHead(HTTP_STATUS_OF_ERROR[known.code], this.#headers);
        response.end(JSON.stringify({ error: known.toBody() }));
      });
    });
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      this.requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
      this.consoles.push(socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ringwall-console\r\n\r\n# ');
    });
  }

  static async start(): Promise<FakeApi> {
    const api = new FakeApi(mkdtempSync(join(tmpdir(), 'rw-cli-')));
    await new Promise<void>((resolve) => {
      api.#server.listen(api.socketPath, resolve);
    });
    return api;
  }

  add(name: string, changes: { spec?: Partial<Machine['spec']>; status?: Partial<Machine['status']> } = {}): Machine {
    const machine = fakeMachine(name, this.machines.size, changes);
    this.machines.set(name, machine);
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.consoles) socket.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    rmSync(this.directory, { recursive: true, force: true });
  }

  get #headers(): Record<string, string> {
    return {
      'content-type': 'application/json',
      ...(this.build === undefined ? {} : { [BUILD_HEADER]: this.build }),
    };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    this.requests.push(`${method} ${url}`);
    const body = await readJson(request);
    if (body !== undefined) this.bodies.push(body);
    if (this.refuseAll !== undefined) throw this.refuseAll;
    const { pathname, searchParams } = new URL(url, 'http://ringwall');
    if (pathname === METRICS_PATH) {
      response.writeHead(200, { ...this.#headers, 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
      response.end('# HELP ringwall_disks Imported disks.\n# TYPE ringwall_disks gauge\nringwall_disks 0\n');
      return;
    }
    const [, , kind = '', name = '', action = ''] = pathname.split('/').map(decodeURIComponent);
    const answer = (document: unknown, status = 200): void => {
      response.writeHead(status, this.#headers);
      response.end(JSON.stringify(document));
    };
    const isCollection = name === '' || kind === 'references' || kind === 'policy';
    const route = `${method} ${kind}${isCollection ? '' : '/*'}${isCollection && name !== '' ? `/${name}` : ''}${action === '' ? '' : `/${action}`}`;
    if (kind === 'machines' && name !== '') this.#find(name);
    const aboutReferences = this.references.answer(route, body, [...this.machines.values()]);
    if (aboutReferences !== undefined) return answer(aboutReferences);
    const words = pathname.split('/').slice(2).map(decodeURIComponent);
    const aboutNetworks = this.networks.answer(route, words, searchParams, body, [...this.machines.values()]);
    if (aboutNetworks !== undefined) return answer(aboutNetworks);
    const aboutSnapshots = this.snapshots.answer(route, name);
    if (aboutSnapshots !== undefined) return answer(aboutSnapshots);
    switch (route) {
      case 'GET erasures/*':
      case 'GET disk-erasures/*':
        if (this.erasure === undefined) throw new RingwallError('not-found', `no key of ${name} was destroyed`);
        return answer(this.erasure);
      case 'GET disks':
        return answer({ disks: this.disks });
      case 'POST broker/*':
        return answer({ keys: this.machines.size });
      case 'POST machines/*/rotate-key':
        return answer({ machine: this.#find(name), version: 2 });
      case 'GET machines':
        return answer(machineListSchema.parse({ machines: [...this.machines.values()], notices: this.notices }));
      case 'POST machines':
        return answer(this.#create(body), 202);
      case 'GET machines/*':
        return answer(
          machineDetailSchema.parse({
            ...fakeDetail(this.#find(name)),
            network: this.networks.placeOf(this.#find(name)),
          }),
        );
      case 'POST machines/*/labels':
        return answer(machineSchema.parse(this.#label(this.#find(name), Object(body))));
      case 'POST machines/*/backups': {
        const machine = this.#find(name);
        const { plan } = planBackupsSchema.parse(body);
        Object.assign(machine.spec, { backups: plan ?? undefined });
        return answer(machineSchema.parse(machine));
      }
      case 'DELETE machines/*':
        return answer({ operation: this.#remove(name, searchParams.get('force') === 'true') }, 202);
      case 'POST machines/*/start':
        return answer({ operation: this.#operate('machine.start', this.#find(name)) }, 202);
      case 'POST machines/*/snapshots':
        return answer({ operation: this.#operate('machine.snapshot', this.#find(name)) }, 202);
      case 'POST machines/*/clones':
        return answer(this.#clone(this.#find(name), cloneMachineSchema.parse(body)), 202);
      case 'POST snapshots/*/template':
        return answer({ operation: this.#hold(name) }, 202);
      case 'POST machines/*/restore':
        return answer({ operation: this.#operate('machine.restore', this.#find(name)) }, 202);
      case 'POST machines/*/stop':
        return answer({ operation: this.#operate('machine.stop', this.#find(name)) }, 202);
      case 'POST machines/*/readmit':
        return answer(machineSchema.parse(this.#readmit(this.#find(name))));
      case 'GET machines/*/logs':
        this.#find(name);
        return answer({ text: this.log.toString('base64') });
      case 'GET machines/*/proof':
        this.#find(name);
        return answer(this.proof);
      case 'GET operations/*/events':
        return this.#stream(name, response);
      case 'GET health':
        return answer(healthSchema.parse({ version: '0.1.0', processes: this.processes, operations: this.operations }));
      case 'GET host':
        return answer(hostReportSchema.parse({ ...FAKE_HOST, processes: this.hostProcesses }));
      case 'GET images':
        return answer(imageListSchema.parse({ images: this.images }));
      case 'POST images/*/build':
        return answer({ operation: this.#build(name, Object(body).rebuild === true) }, 202);
      default:
        throw new RingwallError('not-found', `no route ${method} ${url}`);
    }
  }

  #build(name: string, rebuild: boolean): Operation {
    const image = this.images.find((each) => each.name === name);
    if (image === undefined) throw new RingwallError('image-unknown', `there is no image ${name}`);
    if (!image.built || rebuild) Object.assign(image, builtImage(image, this.nextDigest));
    this.#operations += 1;
    return fakeOperation(this.#operations, 'image.build', undefined);
  }

  #create(body: unknown): { machine: Machine; operation: Operation } {
    const wanted: {
      image?: string;
      name?: string;
      cpus?: number;
      memoryMiB?: number;
      network?: string;
      labels?: Record<string, string>;
    } = Object(body);
    const { image = '', name = image, cpus = 1, memoryMiB = 512, network, labels = {} } = wanted;
    const joined = network === undefined ? {} : { network: this.networks.find(network).id, labels };
    if (!['hello', 'debian'].includes(image)) {
      throw new RingwallError('image-unknown', `there is no image ${image}`, { hint: 'there are: debian, hello' });
    }
    if (!/^[a-z][a-z0-9-]*$/.test(name)) {
      throw new RingwallError('name-invalid', `${JSON.stringify(name)} is no name`, {
        hint: 'a name has a-z, 0-9 and dashes',
      });
    }
    if (this.machines.has(name)) {
      throw new RingwallError('name-taken', `there is a machine ${name} already`, { hint: 'take another with --name' });
    }
    const machine = this.add(name, { spec: { image, cpus, memoryMiB, ...joined }, status: this.made });
    return { machine, operation: this.#operate('machine.create', machine) };
  }

  #clone(original: Machine, { live, name, ...wanted }: CloneMachine): { machine: Machine; operation: Operation } {
    const held = [...this.snapshots.templates.values()].find(({ machineName }) => machineName === original.name);
    if (live === true && held === undefined) {
      throw new RingwallError('conflict', `no snapshot of ${original.name} is held in memory`, {
        hint: `hold it: ringwall template hold ${original.name}@1; a warden that was started anew has forgotten what it held`,
      });
    }
    const names = [2, 3, 4, 5].map((number) => `${original.name}-${String(number)}`);
    const free = names.find((each) => !this.machines.has(each));
    const made = this.#create({ ...original.spec, name: name ?? free, ...wanted });
    if (live !== true || held === undefined) return made;
    held.machines.push(made.machine.name);
    const goesOnFrom = `${held.machineName}@${String(held.sequence)}`;
    const reasons = [`it goes on from the memory of ${goesOnFrom}, and proves itself at its next start`];
    const { watch: _, ...status } = made.machine.status;
    Object.assign(made.machine, { status: { ...status, trust: 'unknown', reasons, goesOnFrom, diskUnlocked: false } });
    Object.assign(made.machine.spec, { clonedFrom: goesOnFrom });
    this.#endings.set(
      made.operation.id,
      `goes on from the memory of ${goesOnFrom}; it proves itself at its next start`,
    );
    return made;
  }

  #hold(name: string): Operation {
    this.snapshots.hold(name, new Date(FAKE_NOW - 30_000).toISOString());
    const operation = this.#operate('template.hold', this.#find(name.split('@')[0] ?? ''));
    const then = `clones go on from it: ringwall clone ${name} --live`;
    this.#endings.set(operation.id, `is held, in 91 MiB of this host’s memory, in clear; ${then}`);
    return operation;
  }

  #remove(name: string, force: boolean): Operation {
    const machine = this.#find(name);
    if (machine.status.phase === 'running' && !force) {
      throw new RingwallError('conflict', `${name} is running`, { hint: 'stop it first, or remove it with --force' });
    }
    this.machines.delete(name);
    return this.#operate('machine.remove', machine);
  }

  #label(machine: Machine, { set = {}, remove = [] }: { set?: Record<string, string>; remove?: string[] }): Machine {
    const kept = Object.entries(machine.spec.labels ?? {}).filter(([key]) => !remove.includes(key));
    Object.assign(machine.spec, { labels: { ...Object.fromEntries(kept), ...set } });
    return machine;
  }

  #readmit(machine: Machine): Machine {
    if (machine.status.trust !== 'quarantined') {
      throw new RingwallError('conflict', `${machine.name} is not quarantined`);
    }
    const { watch } = machine.status;
    if (watch !== undefined) {
      const readmittedAt = new Date(FAKE_NOW).toISOString();
      Object.assign(machine.status, { watch: { ...watch, readmittedAt } });
    }
    return machine;
  }

  #find(name: string): Machine {
    const machine = [...this.machines.values()].find((each) => each.name === name || each.id === name);
    if (machine === undefined) throw new RingwallError('not-found', `there is no machine ${name}`);
    return machine;
  }

  #operate(kind: Operation['kind'], { id }: Machine): Operation {
    this.#operations += 1;
    const operation = fakeOperation(this.#operations, kind, id);
    if (this.nextFailure !== undefined) this.#failures.set(operation.id, this.nextFailure);
    this.nextFailure = undefined;
    return operation;
  }

  #stream(id: string, response: ServerResponse): void {
    const operation = fakeOperation(Number.parseInt(id.slice(-1), 36), 'machine.create', 'mch_aaaaaaaaaaaaaaaaaaaa');
    const failure = this.#failures.get(id);
    const send = (state: Partial<Operation>): void => {
      const event = operationSchema.parse({ ...operation, id, ...state });
      response.write(`event: operation\ndata: ${JSON.stringify(event)}\n\n`);
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    send({ step: 'making disk and TPM' });
    if (this.brokenStreams > 0) {
      this.brokenStreams -= 1;
      response.destroy();
      return;
    }
    if (this.waitsFor !== undefined) send({ step: 'waiting: it does not run', waitsFor: this.waitsFor });
    this.waitsFor = undefined;
    send({ step: 'booting', fraction: 0.5 });
    send({ step: 'waiting for evidence: event log', fraction: 0.8 });
    send(
      failure === undefined
        ? { state: 'done', step: this.#endings.get(id) ?? 'done' }
        : { state: 'failed', step: 'failed', error: failure.toBody() },
    );
    response.end();
  }
}

function builtImage(image: Image, digest: string): Image {
  return {
    ...image,
    built: true,
    digest: digest.repeat(32),
    bytes: 20 * 1024 * 1024,
    builtAt: new Date(FAKE_NOW - 5 * 24 * 3600_000).toISOString(),
    kernel: '6.1.0-56-cloud-amd64',
    packages: [{ name: 'busybox-static', version: '1:1.35.0-4' }],
  };
}

function fakeOperation(number: number, kind: Operation['kind'], machine: Machine['id'] | undefined): Operation {
  const at = new Date(FAKE_NOW).toISOString();
  const id = `op_${'a'.repeat(19)}${'abcdefghijklmnopqrstuvwxyz'[number % 26] ?? 'a'}` as const;
  const about = machine === undefined ? { id, kind } : { id, kind, machine };
  return { ...about, state: 'running', step: 'waiting', createdAt: at, updatedAt: at };
}

export function fakeMachine(
  name: string,
  index: number,
  { spec, status }: { spec?: Partial<Machine['spec']>; status?: Partial<Machine['status']> } = {},
): Machine {
  return {
    id: `mch_${'a'.repeat(19)}${'abcdefghijklmnopqrstuvwxyz'[index % 26] ?? 'a'}`,
    tenant: 'default',
    name,
    version: 1,
    createdAt: new Date(FAKE_NOW - 3 * 3600_000).toISOString(),
    spec: {
      image: 'hello',
      cpus: 1,
      memoryMiB: 512,
      diskMiB: 1024,
      isolation: 'vm',
      running: true,
      watch: 'enforce',
      encryption: 'guest',
      ...spec,
    },
    status: {
      phase: 'running',
      trust: 'attested',
      reasons: [],
      accelerator: 'tcg',
      label: EMULATED,
      bootId: BOOT,
      startedAt: new Date(FAKE_NOW - 90_000).toISOString(),
      attestedAt: new Date(FAKE_NOW - 70_000).toISOString(),
      diskUnlocked: true,
      watch: { mode: 'enforce', state: 'expected', seenAt: new Date(FAKE_NOW - 3_000).toISOString() },
      ...status,
    },
  };
}

/** What ran on a machine that is quarantined. */
const FAKE_STRAYS: NonNullable<MachineDetail['watch']>['files'] = [
  { path: '/tmp/evil', kind: 'unknown', sha256: 'e7'.repeat(32) },
  {
    ...{ path: '/bin/busybox', kind: 'unknown', sha256: 'b0'.repeat(32) },
    expected: { sha256: 'ab'.repeat(32), package: 'busybox-static 1:1.35.0-4' },
  },
];

function fakeWatch({ status, spec }: Machine): MachineDetail['watch'] {
  const { watch, trust } = status;
  if (watch === undefined) return undefined;
  const files = trust === 'quarantined' ? FAKE_STRAYS : [];
  const { seenAt } = watch;
  return {
    ...{ mode: spec.watch, state: watch.state ?? 'awaited', intervalMs: 10_000, entries: 41 },
    ...(seenAt === undefined ? {} : { seenAt }),
    ...{ files: [...files], strays: files.length },
  };
}

export function fakeDetail(machine: Machine): MachineDetail {
  const watch = fakeWatch(machine);
  return {
    machine,
    ...(watch === undefined ? {} : { watch }),
    protections: [
      { id: 'vmm.no-new-privs', title: 'no new privileges', state: 'holds', seen: 'NoNewPrivs: 1', stops: 'A2' },
      {
        id: 'vmm.cgroup-memory',
        title: 'memory limit',
        state: 'missing',
        seen: 'memory.max: max',
        stops: 'A1',
        hint: 'mount the memory controller',
      },
    ],
    proven:
      machine.status.trust === 'attested'
        ? [
            'the firmware is OVMF, as in the manifest',
            'the evidence is fresh: it answers a nonce that was never used before',
          ]
        : [],
    notProtected: [`${EMULATED}: QEMU says itself that TCG is no security boundary; give this host KVM`],
  };
}

export const FAKE_HOST: HostReport = {
  findings: [
    {
      id: 'kvm',
      title: 'hardware virtualisation',
      state: 'missing',
      seen: 'the probe guest never answered',
      meaning: 'machines are emulated',
      hint: 'enable VT-x in the firmware',
    },
    {
      id: 'seccomp',
      title: 'seccomp filters',
      state: 'present',
      seen: 'Seccomp_filters: 0',
      meaning: 'a VMM may make only the calls it needs',
    },
  ],
  processes: [
    { name: 'ringwalld', state: 'up', pid: 30, uid: 999, rssBytes: 70 * 1024 * 1024 },
    { name: 'ringwall-warden', state: 'up', pid: 10, uid: 0, rssBytes: 60 * 1024 * 1024 },
    { name: 'ringwall-broker', state: 'down' },
  ],
};

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? undefined : JSON.parse(text);
}
