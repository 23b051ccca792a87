// A warden and its guests in memory: it answers as the real one does, and can be told to be away, to fail or to fall silent.
/* oxlint-disable typescript/no-unsafe-type-assertion -- an answer's type hangs on its request's op, which a switch does
   not tell the compiler; the rpc's own tests hold the real answers to their schemas */
import { createHash } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import { type MachineId, type NetworkId, RingwallError } from '@ringwall/api';
import type { HeldTemplate } from '@ringwall/api/templates';
import type { NetworkPeer } from '@ringwall/api/network-peers';
import type { DiskKeyRequest } from '@ringwall/api/disks';
import type { HostWayOut } from '@ringwall/api/networks';
import type { MirrorAnswer } from '@ringwall/api/mirrors';
import type { RunningMachine, WardenRequest, WardenResponse } from '@ringwall/api/warden';
import type { WardenClient } from '../clients.ts';

/** Longer than a guest must be quiet to count as waiting. */
const HELLO_MS = 25;

export const AWAY_HINT = 'start it';

const TEMPLATE_SIZE = { bytes: 512 * 2 ** 20, heldBytes: 90.5 * 2 ** 20 };
const KEY = `${'A'.repeat(43)}=`;
const SIGNATURE = `${'A'.repeat(86)}==`;

export class FakeWarden implements WardenClient {
  readonly machines: Map<MachineId, { running: RunningMachine | undefined }> = new Map();
  readonly disks: Set<string> = new Set();
  /** What no machine reaches, whatever a rule says. */
  protected: { range: string; what: string }[] = [];
  /** Other hosts, of each network. */
  peers: NetworkPeer[] = [];
  wayOut: HostWayOut = { state: 'off', setting: '/egress.json' };
  readonly mirrors: Map<NetworkId, MirrorAnswer['machines']> = new Map();
  /** As they were applied last, each with the machines whose card leads somewhere now. */
  readonly networks: Map<NetworkId, { applied: ApplyNetwork; readonly open: Map<MachineId, string> }> = new Map();
  readonly requests: WardenRequest[] = [];
  /** Requests are refused as by a socket that nobody listens on. */
  away = false;
  /** Throws for an op where a test wants it to fail. */
  onRequest: (request: WardenRequest) => void | Promise<void> = () => {};
  images = [
    { name: 'hello', title: 'busybox', built: true },
    { name: 'debian', title: 'Debian', built: false },
  ];
  capacity = { cpus: 4, memoryMiB: 8192, diskMiB: 100_000 };
  /** Those that lie there. */
  readonly snapshots: Set<string> = new Set();
  /** Until it is killed. */
  readonly templates: Map<string, HeldTemplate> = new Map();
  /** Whether each continues the one before, where it may. */
  continues = false;
  accelerator: 'kvm' | 'tcg' = 'tcg';
  /** files.json of the images; undefined where they have none. */
  imageFiles: string | undefined = '{"version":1,"image":"hello"}';
  console = 'booting\n';
  /** What a guest sends once its port is opened. */
  guestWords = 'hello 1\n';
  /** The guests' ends of consoles and attestation ports that are open. */
  readonly guests: Duplex[] = [];

  readonly call: WardenClient['call'] = async (request, options) => {
    const answer = await this.#answer(request, options?.onProgress);
    options?.signal?.throwIfAborted();
    return answer as never;
  };

  readonly openStream: WardenClient['openStream'] = async (request) => {
    await this.#receive(request);
    if (request.op === 'open-snapshot' || request.op === 'receive-snapshot') {
      const [near, far] = duplexPair();
      if (request.op === 'open-snapshot') far.end('what is sealed');
      else this.#takeIn([...(request.bases ?? []), request], far);
      return { result: {} as never, stream: near };
    }
    if (request.op !== 'open-console' && request.op !== 'open-attest-port') throw new Error('not a stream');
    if (this.machines.get(request.machine)?.running === undefined) {
      throw new RingwallError('conflict', 'the machine does not run');
    }
    const [ours, theirs] = duplexPair();
    this.guests.push(theirs);
    theirs.on('error', () => {});
    theirs.on('end', () => theirs.end());
    if (request.op === 'open-console') theirs.pipe(theirs);
    else theirs.resume();
    if (request.op === 'open-attest-port') this.#speak(theirs);
    return { result: {} as never, stream: ours };
  };

  /** The ops that were asked for, in order, without those that only look. */
  get deeds(): string[] {
    return this.requests.map((request) => request.op).filter((op) => !/^(list|read|host|open)-/.test(op));
  }

  count(op: WardenRequest['op']): number {
    return this.requests.filter((request) => request.op === op).length;
  }

  /** As when somebody kills QEMU or swtpm, or the guest powers down. */
  die(machine: MachineId, state: 'vmm-dead' | 'tpm-dead', poweredOff = false): void {
    const record = this.machines.get(machine);
    if (record?.running === undefined) throw new Error(`${machine} does not run`);
    record.running = { ...record.running, state, ...(poweredOff ? { poweredOff } : {}) };
  }

  /** What a full disk does to a guest, and room to a guest that stands still. */
  pause(machine: MachineId, state: 'running' | 'paused'): void {
    const record = this.machines.get(machine);
    if (record?.running === undefined) throw new Error(`${machine} does not run`);
    record.running = { ...record.running, state };
  }

  isRunning(machine: MachineId): boolean {
    const state = this.machines.get(machine)?.running?.state;
    return state !== undefined && state !== 'vmm-dead';
  }

  /** As the real one does: it counts what comes. */
  #takeIn(objects: readonly { readonly bytes: number }[], stream: Duplex): void {
    const wanted = objects.reduce((sum, object) => sum + object.bytes, 0);
    const bases = objects.slice(1).map(() => 'AAAA');
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes < wanted) return;
      stream.end(`${JSON.stringify({ done: { head: 'AAAA', ...(bases.length === 0 ? {} : { bases }) } })}\n`);
    });
    stream.on('end', () => {
      if (bytes >= wanted) return;
      stream.end(
        '{"error":{"code":"proof-invalid","message":"the snapshot is not what was sealed: it ends too soon"}}\n',
      );
    });
  }

  /** As the real guest does, again and again until it is heard. */
  #speak(guest: Duplex): void {
    const timer = setInterval(() => {
      if (!guest.writable) clearInterval(timer);
      else if (this.guestWords !== '') guest.write(this.guestWords);
    }, HELLO_MS);
    guest.once('close', () => clearInterval(timer));
  }

  async #receive(request: WardenRequest): Promise<void> {
    if (this.away) throw new RingwallError('warden-unavailable', 'the warden does not run', { hint: AWAY_HINT });
    this.requests.push(request);
    await this.onRequest(request);
  }

  async #answer(
    request: WardenRequest,
    onProgress: ((progress: { step: string; fraction?: number }) => void) | undefined,
  ): Promise<WardenResponse<WardenRequest['op']>> {
    await this.#receive(request);
    switch (request.op) {
      case 'host-report':
        return { findings: [], accelerator: this.accelerator };
      case 'host-capacity':
        return this.capacity;
      case 'host-identity':
        return { host: 'host_a', vtpmCa: 'AAAA', lacks: 'this host has no TPM of its own' };
      case 'host-evidence':
      case 'host-reference':
        throw new RingwallError('host-lacks', 'this host has no TPM of its own');
      case 'list-images':
        return { images: this.images };
      case 'build-image': {
        onProgress?.({ step: 'unpacking the kernel', fraction: 0.5 });
        const image = this.images.find(({ name }) => name === request.image);
        if (image === undefined) throw new RingwallError('image-unknown', `no image ${request.image}`);
        image.built = true;
        return { image };
      }
      case 'build-reference':
        return { reference: { image: request.image, memoryMiB: request.memoryMiB } };
      case 'create-machine':
        if (!this.machines.has(request.machine)) this.machines.set(request.machine, { running: undefined });
        return { ekCertificate: 'AAAA', vtpmCa: ['AAAA'] };
      case 'start-machine':
        return this.#start(request);
      case 'ask-disk-key':
        return { request: askedFor(request) };
      case 'ask-snapshot-key': {
        const { op: _, ...asked } = request;
        return { request: { ...asked, publicKey: KEY, host: SIGNATURE, signature: SIGNATURE } };
      }
      case 'take-snapshot':
        this.snapshots.add(request.snapshot);
        return {
          ...{ root: '5a'.repeat(32), bytes: 4096, pauseMs: 12, tookMs: 34 },
          ...(this.continues && request.after !== undefined ? { parent: request.after } : {}),
        };
      case 'restore-machine':
        return this.#start(request);
      case 'clone-disk':
        return {};
      case 'hold-template': {
        const { snapshot, machine } = request;
        const held = { snapshot, machine, heldAt: new Date(0).toISOString(), machines: [], ...TEMPLATE_SIZE };
        this.templates.set(snapshot, this.templates.get(snapshot) ?? held);
        return held;
      }
      case 'list-templates':
        return { templates: [...this.templates.values()] };
      case 'release-template':
        this.templates.delete(request.snapshot);
        return {};
      case 'clone-live': {
        const held = this.templates.get(request.snapshot);
        if (held === undefined) throw new RingwallError('conflict', `the memory of ${request.snapshot} is not held`);
        const started = this.#start(request);
        this.templates.set(request.snapshot, { ...held, machines: [...held.machines, request.machine] });
        return started;
      }
      case 'check-snapshot':
        return { whole: this.snapshots.has(request.snapshot), records: 3, damaged: 0, at: [] };
      case 'read-snapshot-head':
        return { head: 'AAAA', bytes: 4096 };
      case 'settle-import':
        if (!this.machines.has(request.machine)) this.machines.set(request.machine, { running: undefined });
        this.snapshots.add(request.snapshot);
        return {};
      case 'remove-snapshot':
        this.snapshots.delete(request.snapshot);
        return {};
      case 'remove-disk':
        this.disks.delete(request.disk);
        return {};
      case 'stop-machine':
        this.#require(request.machine).running = undefined;
        return { graceful: request.graceMs > 0 };
      case 'remove-machine':
        this.machines.delete(request.machine);
        return {};
      case 'list-machines':
        return { machines: [...this.machines.values()].flatMap(({ running }) => running ?? []) };
      case 'list-existing':
        return { machines: [...this.machines.keys()] };
      case 'pause-machine':
      case 'resume-machine':
        this.pause(request.machine, request.op === 'pause-machine' ? 'paused' : 'running');
        return {};
      case 'read-image-files':
        return this.#readImageFiles(request.offset);
      case 'status':
        return { pid: process.pid };
      case 'read-protections':
        return {
          protections: [
            { id: 'vmm.no-new-privs', title: 'no new privileges', state: 'holds', seen: 'NoNewPrivs: 1', stops: 'A2' },
          ],
        };
      case 'read-console':
        return { text: Buffer.from(this.console).toString('base64') };
      case 'apply-network':
        return this.#applyNetwork(request);
      case 'remove-network': {
        const members = this.networks.get(request.network)?.applied.machines ?? [];
        if (members.length > 0) throw new RingwallError('conflict', 'machines have cards in it');
        this.networks.delete(request.network);
        return {};
      }
      case 'list-networks':
        return {
          networks: Array.from(this.networks, ([network, { open }]) => ({
            network,
            walls: 'standing' as const,
            connected: [...open.keys()],
          })),
          protected: this.protected,
          wayOut: this.wayOut,
        };
      case 'set-mirror':
      case 'show-mirror':
        return this.#mirror(request);
      case 'look-at-way-out':
        return this.wayOut;
      case 'count-network':
        return this.#countNetwork(request.network);
      case 'admit-machine':
        this.#network(request.network).open.set(request.machine, request.boot);
        return {};
      case 'open-refused':
        return { cables: [] };
      case 'dismiss-machine':
        this.networks.get(request.network)?.open.delete(request.machine);
        return {};
      case 'list-peers':
        return { peers: this.peers };
      case 'export-peer':
      case 'import-peer':
        throw new RingwallError('host-lacks', 'wireguard-go is not installed');
      case 'remove-peer':
        return {};
      case 'open-console':
      case 'open-attest-port':
      case 'open-capture':
      case 'import-disk':
      case 'open-snapshot':
      case 'receive-snapshot':
        return {};
    }
    throw new Error('no such op');
  }

  #applyNetwork(applied: ApplyNetwork): WardenResponse<'apply-network'> {
    const known = this.networks.get(applied.network);
    const open = new Map(
      applied.machines.flatMap(({ machine, admitted }) =>
        admitted === undefined ? [] : [[machine, admitted] as const],
      ),
    );
    this.networks.set(applied.network, { applied, open });
    return {
      made: known === undefined,
      walls: known === undefined ? 'raised' : 'changed',
      admitted: [],
      dismissed: [],
    };
  }

  #mirror(request: Extract<WardenRequest, { op: 'set-mirror' | 'show-mirror' }>): MirrorAnswer {
    const { applied } = this.#network(request.network);
    if (request.op === 'set-mirror') this.mirrors.set(request.network, request.machines);
    const machines = this.mirrors.get(request.network) ?? [];
    const mirrored = machines === 'all' ? applied.machines.map(({ machine }) => machine) : machines;
    return { machines, mirrored, namespace: `/run/${request.network}.mirror`, interface: 'ids0', allowed: true };
  }

  #countNetwork(id: NetworkId): WardenResponse<'count-network'> {
    const { machines } = this.#network(id).applied;
    return {
      refused: [{ reason: 'refused', packets: 5, bytes: 300 }],
      rules: [{ rules: [{ name: 'web', action: 'allow' }], connections: 7 }],
      putBack: 0,
      connections: { known: 3, limit: 1_000 },
      machines: machines.map(({ machine }) => ({
        machine,
        sent: { packets: 10, bytes: 1_000 },
        received: { packets: 20, bytes: 2_000 },
        late: 1,
        refused: [{ reason: 'refused', packets: 5, bytes: 300 }],
      })),
    };
  }

  #network(id: NetworkId): { readonly applied: ApplyNetwork; readonly open: Map<MachineId, string> } {
    const network = this.networks.get(id);
    if (network === undefined) throw new RingwallError('not-found', `no network ${id} on this host`);
    return network;
  }

  #start(
    request: Extract<WardenRequest, { op: 'start-machine' | 'restore-machine' | 'clone-live' }>,
  ): WardenResponse<'start-machine'> {
    const record = this.#require(request.machine);
    const { running } = record;
    const reference = { boot: request.boot };
    if (running !== undefined && running.state === 'running') {
      if (running.boot === request.boot) return { running, reference };
      throw new RingwallError('conflict', 'the machine runs already');
    }
    record.running = {
      machine: request.machine,
      boot: request.boot,
      state: 'running',
      accelerator: this.accelerator,
      startedAt: new Date().toISOString(),
      vmmPid: 1,
      tpmPid: 1,
    };
    return { running: record.running, reference };
  }

  #readImageFiles(offset: number | undefined): WardenResponse<'read-image-files'> {
    if (this.imageFiles === undefined) throw new RingwallError('not-found', 'the image has no list of files');
    const bytes = Buffer.from(this.imageFiles);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const whole = { sha256, bytes: bytes.length };
    // Small parts, so that there are several.
    if (offset === undefined) return { ...whole, parts: { ...IMAGE_PARTS, files: sha256 } };
    return { ...whole, part: bytes.subarray(offset, offset + 10).toString('base64') };
  }

  #require(machine: MachineId): { running: RunningMachine | undefined } {
    const record = this.machines.get(machine);
    if (record === undefined) throw new RingwallError('not-found', `no machine ${machine} on this host`);
    return record;
  }
}

type ApplyNetwork = Extract<WardenRequest, { op: 'apply-network' }>;

/** Of an image that is none. */
const IMAGE_PARTS = {
  kernel: '01'.repeat(32),
  initrd: '02'.repeat(32),
  system: '03'.repeat(32),
  verityRootHash: '05'.repeat(32),
  hashOffset: 4096,
};

function askedFor({ disk, use, machine, boot }: Extract<WardenRequest, { op: 'ask-disk-key' }>): DiskKeyRequest {
  return { disk, use, machine, boot, publicKey: KEY, host: SIGNATURE, signature: SIGNATURE };
}
