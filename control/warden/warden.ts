// The warden's decisions behind its socket: one function for each request of the closed set, and the sweep beside them.
import { mkdir } from 'node:fs/promises';
import { RingwallError, type MachineId } from '@ringwall/api';
import type { RunningMachine, WardenOp, WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { requireSpec, startMachine, stopMachine } from './boots.ts';
import { buildReference } from './build-reference.ts';
import { admitMachine, settleCardOf } from './cards.ts';
import { cloneDisk, requireAlike } from './clone.ts';
import { cloneLive } from './clone-live.ts';
import { countNetwork } from './counters.ts';
import { Continuations } from './continuations.ts';
import { KeyAsks } from './key-asks.ts';
import { DiskWork, importDisk, removeDisk, requireDiskOf, sweepDisks } from './disks.ts';
import { StreamHolders } from './vmm-socket.ts';
import type { WardenContext } from './context.ts';
import { isThere, makeDirectory, namesIn } from '../files/index.ts';
import { messageOf } from './request-log.ts';
import { readImageFiles } from './image-files.ts';
import { holdTemplate, listTemplates } from './hold-template.ts';
import { warmCrew } from '@ringwall/host/threads';
import { hostEvidence, hostIdentity, hostReference } from './host-evidence.ts';
import { ImageBuilds, listImages, sweepImages } from './images.ts';
import { isMachineId, machineLayout, type Layout } from './layout.ts';
import { createMachine, hostCapacity, removeMachine } from './machines.ts';
import { Networks } from './networks.ts';
import { pauseMachine } from './pause.ts';
import type { ProgressListener, WardenParts } from './parts.ts';
import { openPackets } from './packets.ts';
import { Queues } from './queue.ts';
import { isRunningBoot, readBoot } from './records.ts';
import { healthOf, reportOf } from './running.ts';
import { openStream, readConsole, type StreamCall } from './streams.ts';
import { restoreMachine } from './restore.ts';
import {
  openSnapshotBody,
  readSnapshotHead,
  receiveSnapshot,
  settleImport,
  sweepIncoming,
} from './snapshot-transfer.ts';
import { checkSnapshot, removeSnapshot, takeSnapshot } from './snapshots.ts';
import { sweep } from './sweep.ts';
import { sweepTemplates, Templates } from './templates.ts';

/** How soon a dead VMM or TPM is noticed without being asked for. */
export const SWEEP_INTERVAL_MS = 2_000;

export interface WardenCall extends StreamCall {
  readonly progress: ProgressListener;
}

export interface WardenOptions {
  readonly layout: Layout;
  readonly parts: WardenParts;
  readonly note: (text: string) => void;
}

export class Warden {
  readonly #context: WardenContext;
  readonly #queues = new Queues(
    (id) => new RingwallError('conflict', `too many requests wait for ${id}`, { hint: 'wait for those to end' }),
  );
  readonly #builds: ImageBuilds;
  readonly #disks = new DiskWork();
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> | undefined;

  private constructor(options: WardenOptions) {
    this.#context = {
      ...options,
      holders: new StreamHolders(),
      obituaries: new Map<string, RunningMachine>(),
      networks: new Networks(options),
      keys: new KeyAsks(),
      continuations: new Continuations(),
      templates: new Templates(),
      copies: new Queues(tooManyCopies, Number.POSITIVE_INFINITY),
      underWay: (name) => this.#queues.busy(name),
    };
    this.#builds = new ImageBuilds(this.#context);
  }

  /** Makes the directories, adopts what runs, and cleans up what does not. */
  static async open(options: WardenOptions): Promise<Warden> {
    await makeDirectories(options.layout);
    const warden = new Warden(options);
    // A damaged image is no reason to leave machines alone.
    await sweepImages(warden.#context).catch((error: unknown) => options.note(`images: ${messageOf(error)}`));
    await sweepDisks(warden.#context);
    await sweepIncoming(warden.#context);
    await sweepTemplates(options.layout);
    await warden.#context.networks.open();
    await warden.sweep(true);
    warden.#timer = setInterval(() => void warden.sweep(false), SWEEP_INTERVAL_MS);
    return warden;
  }

  /** Sweeps now, or waits for the sweep that is going on. Never rejects. */
  sweep(whole: boolean): Promise<void> {
    this.#sweeping ??= sweep(this.#context, this.#queues, whole)
      .catch((error: unknown) => {
        this.#context.note(`sweep failed: ${messageOf(error)}`);
      })
      .finally(() => {
        this.#sweeping = undefined;
      });
    return this.#sweeping;
  }

  /** Ends the sweeping and waits for what runs; machines go on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
    await this.#queues.idle();
    await this.#disks.idle();
    await this.#context.continuations.settle();
    await this.#context.templates[Symbol.asyncDispose]();
    await this.#context.networks.close();
  }

  async handle(request: WardenRequest, call: WardenCall): Promise<WardenResponse<WardenOp>> {
    const context = this.#context;
    switch (request.op) {
      case 'host-report':
        return await hostReport(context);
      case 'host-capacity':
        return await hostCapacity(context);
      case 'host-identity':
        return await hostIdentity(context);
      case 'host-evidence':
        return await hostEvidence(context, request);
      case 'host-reference':
        return await hostReference(context, request.everything);
      case 'list-images':
        return await listImages(context);
      case 'build-image':
        return { image: await this.#builds.build(request.image, request.rebuild ?? false, call.progress) };
      case 'build-reference':
        return await buildReference(context, request);
      case 'create-machine':
        return await this.#inTurn(request.machine, () => createMachine(context, request.machine, request.spec));
      case 'start-machine':
        return await this.#inTurn(request.machine, () => startMachine(context, request, call.progress));
      case 'ask-disk-key': {
        const { op: _, ...wanted } = request;
        if (wanted.use === 'export') await requireDiskOf(context, wanted.disk, wanted.machine);
        return { request: await context.keys.ask(await context.parts.disks.signer(), wanted) };
      }
      case 'import-disk':
        return await importDisk(context, this.#disks, request, call);
      case 'remove-disk':
        return await removeDisk(context, this.#disks, request.disk);
      case 'ask-snapshot-key': {
        const { op: _, ...wanted } = request;
        if (wanted.use === 'clone' || wanted.use === 'live') await requireAlike(context, wanted);
        // Its memory is opened when the broker has answered.
        if (wanted.use === 'restore' || wanted.use === 'template') warmCrew();
        if (wanted.use === 'live') context.templates.borrow(wanted.snapshot)[Symbol.dispose]();
        return { request: await context.keys.ask(await context.parts.disks.signer(), wanted) };
      }
      case 'take-snapshot':
        return await this.#queues.run(request.snapshot, () =>
          takeSnapshot(context, request, {
            progress: call.progress,
            signal: call.signal,
            inTurn: (work) => this.#inTurn(request.machine, work),
          }),
        );
      case 'restore-machine':
        return await this.#inTurn(request.machine, () => restoreMachine(context, request, call.progress));
      case 'clone-disk':
        return await this.#inTurn(request.machine, () => cloneDisk(context, request, call.progress));
      case 'hold-template':
        return await holdTemplate(context, request, call.progress);
      case 'list-templates':
        return await listTemplates(context);
      case 'release-template':
        await context.templates.release(request.snapshot);
        return {};
      case 'clone-live':
        return await this.#inTurn(request.machine, () => cloneLive(context, request, call.progress));
      case 'check-snapshot':
        return await checkSnapshot(context, request);
      case 'remove-snapshot':
        // Behind whatever makes it: a daemon that was restarted removes what its last life began.
        return await this.#queues.run(request.snapshot, () =>
          this.#inTurn(request.machine, () => removeSnapshot(context, request)),
        );
      case 'read-snapshot-head':
        return await readSnapshotHead(context, request);
      case 'open-snapshot':
        return await openSnapshotBody(context, request, call);
      case 'receive-snapshot':
        return await receiveSnapshot(context, request, call, (work) => this.#queues.run(request.snapshot, work));
      case 'settle-import':
        return await this.#queues.run(request.snapshot, () =>
          this.#inTurn(request.machine, () => settleImport(context, request)),
        );
      case 'stop-machine':
        return await this.#inTurn(request.machine, () => stopMachine(context, request.machine, request.graceMs));
      case 'remove-machine':
        return await this.#inTurn(request.machine, () => removeMachine(context, request.machine));
      case 'pause-machine':
        return await this.#inTurn(request.machine, () => pauseMachine(context, request, 'pause'));
      case 'resume-machine':
        return await this.#inTurn(request.machine, () => pauseMachine(context, request, 'resume'));
      case 'read-image-files':
        return await readImageFiles(context, request.image, request.offset);
      case 'status':
        return { pid: process.pid };
      case 'list-machines':
        return await listMachines(context);
      case 'list-existing':
        return await listExisting(context);
      case 'read-protections':
        return await readProtections(context, request.machine);
      case 'read-console':
        return await readConsole(context, request.machine, request.bytes);
      case 'open-console':
        return await openStream(context, request.machine, 'console', call);
      case 'open-attest-port':
        return await openStream(context, request.machine, 'attest', call);
      case 'open-refused':
      case 'open-capture':
        return await openPackets(context, request, call);
      case 'apply-network':
        return await this.#applyNetwork(request);
      case 'remove-network':
        return await context.networks.remove(request);
      case 'list-networks':
        return await context.networks.list();
      case 'count-network':
        return await countNetwork(context, request.network);
      case 'set-mirror':
        return await context.networks.setMirror(request);
      case 'show-mirror':
        return await context.networks.mirrorOf(request);
      case 'look-at-way-out':
        return await context.networks.wayOut();
      case 'export-peer':
        return await context.networks.exportPeer(request);
      case 'import-peer':
        return await context.networks.importPeer(request);
      case 'list-peers':
        return await context.networks.listPeers(request);
      case 'remove-peer':
        return await context.networks.removePeer(request);
      case 'admit-machine':
        return await this.#inTurn(request.machine, () => admitMachine(context, request));
      case 'dismiss-machine':
        await context.networks.dismiss(request.machine, request.network);
        this.#settleCards([request.machine]);
        return {};
      default:
        request satisfies never;
        throw new RingwallError('bad-request', 'no such request');
    }
  }

  async #applyNetwork(
    request: Extract<WardenRequest, { op: 'apply-network' }>,
  ): Promise<WardenResponse<'apply-network'>> {
    const settled = await this.#context.networks.apply(request);
    this.#settleCards([...settled.admitted, ...settled.dismissed]);
    return settled;
  }

  /** What passes is decided by then: cards follow, each in its machine's turn, and nobody waits for a guest. */
  #settleCards(machines: readonly MachineId[]): void {
    for (const id of machines) {
      void this.#inTurn(id, () => settleCardOf(this.#context, id)).catch(() => undefined); // the next sweep does it
    }
  }

  #inTurn<T>(machine: MachineId, work: () => Promise<T>): Promise<T> {
    return this.#queues.run(machine, work);
  }
}

/** Every machine of the host may wait for its turn. */
function tooManyCopies(): Error {
  return new RingwallError('internal', 'more copies than machines');
}

async function makeDirectories(layout: Layout): Promise<void> {
  // These two may be the installation's, with modes for others: they are made where they are missing, and left alone.
  for (const dir of [layout.state, layout.run]) await mkdir(dir, { recursive: true, mode: 0o755 });
  for (const [dir, mode] of [
    [layout.warden, 0o700],
    [layout.records, 0o700],
    [layout.expected, 0o700],
    [layout.images, 0o755],
    [layout.machines, 0o711],
    [layout.runMachines, 0o711],
    [layout.private, 0o700],
    [layout.diskRecords, 0o700],
    [layout.networks, 0o700],
    [layout.runNetworks, 0o700],
    [layout.runTunnels, 0o711],
    [layout.disks, 0o711],
    [layout.snapshots, 0o700],
    [layout.templates, 0o700],
    [layout.runDisks, 0o711],
    [layout.probe, 0o711],
  ] as const) {
    await makeDirectory(dir, mode);
  }
}

async function hostReport(context: WardenContext): Promise<WardenResponse<'host-report'>> {
  const { host } = context.parts;
  const accelerator = await host.accelerator();
  return { findings: await host.findings(), accelerator };
}

/** Does not wait for a machine's queue: a stop may take minutes, and a list must not. */
async function listMachines(context: WardenContext): Promise<WardenResponse<'list-machines'>> {
  const { layout, obituaries } = context;
  const ids = (await namesIn(layout.runMachines)).filter(isMachineId);
  const running = (
    await Promise.all(
      ids.map(async (id) => {
        const machine = machineLayout(layout, id);
        const record = await readBoot(machine);
        if (record === undefined || !isRunningBoot(record)) return [];
        const state = await healthOf(context, machine, record);
        // A stop that has come this far is a stop: only what ends by itself is called dead.
        if (record.phase === 'stopping' && state === 'vmm-dead') return [];
        return [await reportOf(context, machine, record, state)];
      }),
    )
  ).flat();
  // Told once, and only when the record is gone: until then the machine is in the list by itself.
  for (const [id, obituary] of obituaries) {
    if (running.some(({ machine }) => machine === id)) continue;
    running.push(obituary);
    obituaries.delete(id);
  }
  return { machines: running };
}

async function listExisting({ layout }: WardenContext): Promise<WardenResponse<'list-existing'>> {
  const names = (await namesIn(layout.records)).filter(isMachineId);
  const existing = await Promise.all(
    names.map(async (id) => ((await isThere(machineLayout(layout, id).spec)) ? [id] : [])),
  );
  return { machines: existing.flat() };
}

async function readProtections(context: WardenContext, id: MachineId): Promise<WardenResponse<'read-protections'>> {
  const machine = machineLayout(context.layout, id);
  const spec = await requireSpec(machine);
  const record = await readBoot(machine);
  if (record === undefined || !isRunningBoot(record)) {
    throw new RingwallError('conflict', 'the machine does not run', {
      hint: 'protections are read from running processes: ringwall start NAME',
    });
  }
  return { protections: await context.parts.jail.readProtections(machine, spec, record) };
}
