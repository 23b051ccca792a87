// Snapshots that leave this host and that come to it, as bytes: the sealed object is handed out as it lies there, and taken in beside
// everything else. What came is looked at to the last byte before the broker is asked about it, and opened and compared with this
// host before anything is made of it.
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { RingwallError, type ErrorBody, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { equalBytes } from '@ringwall/bytes';
import { nativeBlake3 } from '@ringwall/host/seal';
import { readObjectHead, scrub, SealError, type ObjectHead } from '@ringwall/seal';
import type { Secret } from '../keys/index.ts';
import { fullOr, makeDirectory, namesIn, syncDirectory } from '../files/index.ts';
import { placeDisks, refuseDisks, type ArrivingDisk, type CameObject } from './arrived-disks.ts';
import type { WardenContext } from './context.ts';
import { explainFull, freeDiskBytes } from './full.ts';
import { machineLayout, snapshotFile } from './layout.ts';
import { makeArrived, sameMachine } from './machines.ts';
import { readSpec } from './records.ts';
import { asRestoreError, refuseOther } from './restore.ts';
import { refuseOutOfPlace, refuseStranger, type ChainLink } from './snapshot-chain.ts';
import { runsNow } from './running.ts';
import { readAbout, readClearAbout, readFrom, type ClearAbout, type OpenedAbout } from './snapshot-contents.ts';
import { openSnapshot, platformOf } from './snapshots.ts';
import type { StreamCall } from './streams.ts';

/** Read, and written, at a time. */
const PIECE_BYTES = 2 ** 20;
const MIB = 2 ** 20;
/** What came and was never settled: its daemon has ended meanwhile. */
const FORGOTTEN_MS = 10 * 60_000;

interface Which {
  readonly machine: MachineId;
  readonly snapshot: SnapshotId;
}

/** What the broker renders anew for somebody else, and how long all of it is. */
export async function readSnapshotHead(
  { layout }: WardenContext,
  { machine, snapshot }: Which,
): Promise<WardenResponse<'read-snapshot-head'>> {
  await using object = await openSnapshot(snapshotFile(layout, machine, snapshot));
  const { bytes } = await headOf(object);
  const { size } = await object.stat();
  return { head: Buffer.from(bytes).toString('base64'), bytes: size };
}

/** Turns the connection into everything behind the head, as it lies there: encrypted. */
export async function openSnapshotBody(
  { layout }: WardenContext,
  { machine, snapshot }: Which,
  { upgrade, signal }: StreamCall,
): Promise<Record<string, never>> {
  const object = await openSnapshot(snapshotFile(layout, machine, snapshot));
  try {
    const { bytes } = await headOf(object);
    const body = object.createReadStream({ start: bytes.length, highWaterMark: PIECE_BYTES });
    body.on('error', () => undefined);
    // The asker may be gone before it takes its stream.
    if (signal.aborted) body.destroy();
    signal.addEventListener('abort', () => body.destroy(), { once: true });
    upgrade(async (asker) => {
      asker.on('error', () => undefined);
      asker.once('close', () => body.destroy());
      asker.resume();
      await pipeline(body, asker).catch(() => undefined);
    });
  } catch (error) {
    await object.close();
    throw error;
  }
  return {};
}

interface Coming {
  readonly snapshot: SnapshotId;
  readonly bytes: number;
  readonly root: string;
}

export interface ReceiveOrder extends Which, Coming {
  /** What comes before it: all that it continues, from the whole one on, but what is here. */
  readonly bases?: readonly Coming[] | undefined;
}

/** Turns the connection into the way by which an object comes; tells on it how that ended. `busy` while it lasts. */
export async function receiveSnapshot(
  context: WardenContext,
  order: ReceiveOrder,
  { upgrade }: StreamCall,
  run: (work: () => Promise<void>) => Promise<void>,
): Promise<Record<string, never>> {
  const directory = incomingDir(context);
  await makeDirectory(directory, 0o700);
  await forgetOld(context, directory);
  await refuseWithoutRoom(
    context,
    [...(order.bases ?? []), order].reduce((sum, { bytes }) => sum + bytes, 0),
  );
  upgrade((stream) => run(() => receive(context, order, stream)));
  return {};
}

interface Came {
  /** With the envelope for this host's broker. */
  readonly head: string;
  readonly key: SealedKey;
}

interface Member {
  readonly snapshot: SnapshotId;
  /** Absent of the newest, which nothing continues here. */
  readonly root?: string;
  /** Absent of one that is here already. */
  readonly came?: Came | undefined;
}

export interface SettleOrder extends Which, Came {
  readonly spec: VmSpec;
  readonly ekCertificate: string;
  /** Imported ones, of a machine that is not here. */
  readonly disks?: readonly ArrivingDisk[] | undefined;
  /** What it continues, from the whole one on. */
  readonly bases?: readonly (Member & { readonly root: string })[] | undefined;
}

/** In the machine's queue. The snapshot is there from then on, and its machine, which is not put back to it yet. */
export async function settleImport(context: WardenContext, order: SettleOrder): Promise<Record<string, never>> {
  const machine = machineLayout(context.layout, order.machine);
  const { head: newestHead, key: newestKey } = order;
  const newest = { snapshot: order.snapshot, came: { head: newestHead, key: newestKey } };
  const members: readonly Member[] = [...(order.bases ?? []), newest];
  using keys = new DisposableStack();
  // All of them first: each opens once, and what is left of the answers is forgotten.
  const openers = members.map(({ came, snapshot }) =>
    came === undefined
      ? undefined
      : keys.use(context.keys.open(came.key, { snapshot, machine: order.machine, use: 'import' })),
  );
  const existing = await readSpec(machine);
  if (existing !== undefined && (await runsNow(context, machine))) {
    throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it first: ringwall stop NAME' });
  }
  if (existing !== undefined) sameMachine(existing.spec, order.spec);
  try {
    if (existing === undefined && members.some(({ came }) => came === undefined)) {
      throw new RingwallError('not-found', 'what it continues is not here: its machine is gone', {
        hint: 'import it again',
      });
    }
    const here = await platformOf(context, order.spec, await context.parts.host.accelerator());
    let before: ChainLink | undefined;
    const chain: CameObject[] = [];
    for (const [index, member] of members.entries()) {
      const opened = await lookAt(context, order, member, openers[index]);
      refuseStranger(opened, { machine: order.machine, snapshot: member.snapshot });
      refuseOutOfPlace(opened, before);
      if ('about' in opened) refuseOther(order.spec, opened.about, here);
      before = { opened, root: member.root ?? '' };
      const key = openers[index]?.expose();
      if (!('about' in opened) || key === undefined) continue;
      const file = incomingFile(context, order.snapshot, member.snapshot);
      chain.push({ file, root: member.root, openers: [{ kind: 'key', key }], opened });
    }
    const disks = order.disks ?? [];
    const [last] = chain.toReversed();
    if (existing === undefined && last !== undefined) await refuseDisks(context, order.spec, disks, last.opened);
    const place = async (): Promise<void> => {
      await makeDirectory(machine.snapshots, 0o700);
      for (const { snapshot, came } of members) {
        if (came === undefined) continue;
        await rename(
          incomingFile(context, order.snapshot, snapshot),
          snapshotFile(context.layout, order.machine, snapshot),
        );
      }
      await syncDirectory(machine.snapshots);
    };
    if (existing !== undefined) await place();
    else
      await makeArrived(context, machine, {
        spec: order.spec,
        ekCertificate: Buffer.from(order.ekCertificate, 'base64'),
        place: async () => {
          await placeDisks(context, disks, chain);
          await place();
        },
      });
    return {};
  } catch (error) {
    const explained = asRestoreError(await explainFull(context, error));
    await dropIncoming(context, order);
    throw explained;
  }
}

/** What came gets its envelope, and is opened; what is here is only read, for what it says in clear. */
async function lookAt(
  context: WardenContext,
  order: SettleOrder,
  { snapshot, came }: Member,
  key: Secret | undefined,
): Promise<ClearAbout | OpenedAbout> {
  if (came === undefined) {
    await using here = await openSnapshot(snapshotFile(context.layout, order.machine, snapshot));
    return await readClearAbout(here);
  }
  const file = incomingFile(context, order.snapshot, snapshot);
  await using object = await open(file, 'r+').catch((cause: unknown) => {
    throw new RingwallError('not-found', 'nothing of this snapshot has come', { hint: 'import it again', cause });
  });
  await exchangeHead(object, Buffer.from(came.head, 'base64'));
  const opened = await readAbout(object, [{ kind: 'key', key: key?.expose() ?? new Uint8Array() }]);
  await object.sync();
  return opened;
}

/** What a warden that was killed had begun to take in. */
export async function sweepIncoming(context: WardenContext): Promise<void> {
  await rm(incomingDir(context), { recursive: true, force: true });
}

async function receive(context: WardenContext, order: ReceiveOrder, stream: Duplex): Promise<void> {
  stream.on('error', () => stream.destroy());
  const say = (message: object): void => {
    if (stream.writable) stream.end(`${JSON.stringify(message)}\n`);
  };
  try {
    const heads: string[] = [];
    const pieces = new Pieces(stream);
    for (const coming of [...(order.bases ?? []), order]) {
      const head = await takeIn(coming, incomingFile(context, order.snapshot, coming.snapshot), pieces);
      heads.push(Buffer.from(head.bytes).toString('base64'));
    }
    await pieces.end();
    const [head, ...bases] = heads.toReversed();
    say({ done: { head, ...(bases.length === 0 ? {} : { bases: bases.toReversed() }) } });
  } catch (error) {
    const explained = asRestoreError(fullOr(error));
    await dropIncoming(context, order);
    const body: ErrorBody =
      explained instanceof RingwallError
        ? explained.toBody()
        : { code: 'internal', message: 'the import failed by a defect of ringwall', hint: 'see the log of the warden' };
    context.note(`${order.snapshot}: ${explained instanceof RingwallError ? explained.message : inspect(explained)}`);
    say({ error: body });
  }
}

/** Written as it comes, and compared with the root that was signed; nothing of it is held in memory. */
async function takeIn({ bytes, root }: Coming, file: string, pieces: Pieces): Promise<ObjectHead> {
  await using object = await open(file, 'w+', 0o600);
  let at = 0;
  async function* written(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await pieces.next(bytes - at);
      if (piece === undefined) return;
      for (let done = 0; done < piece.length;) {
        done += (await object.write(piece, done, piece.length - done, at + done)).bytesWritten;
      }
      at += piece.length;
      yield piece;
    }
  }
  const report = await scrub(written(), nativeBlake3);
  const [first] = report.damages;
  if (first !== undefined) {
    throw new SealError('altered', `the record at byte ${first.offset} is damaged`, { offset: first.offset });
  }
  if (!report.rootFits || report.root !== root) {
    throw new RingwallError('proof-invalid', 'what came is another object than the one its ticket is for');
  }
  await object.sync();
  return headOf(object);
}

/** What comes on a stream, in pieces that end where somebody wants them to. */
class Pieces {
  readonly #stream: AsyncIterator<unknown>;
  #left: Uint8Array = new Uint8Array();
  #taken = 0;

  constructor(stream: Duplex) {
    // What ends the reading must leave the way back open: how it ended is told on it.
    this.#stream = stream.iterator({ destroyOnReturn: false });
  }

  /** Undefined where no more is wanted, or no more comes. */
  async next(atMostBytes: number): Promise<Uint8Array | undefined> {
    if (atMostBytes === 0) return undefined;
    while (this.#left.length === 0) {
      const { value, done } = await this.#stream.next();
      if (done === true) return undefined;
      if (value instanceof Uint8Array) this.#left = value;
    }
    const piece = this.#left.subarray(0, atMostBytes);
    this.#left = this.#left.subarray(piece.length);
    this.#taken += piece.length;
    return piece;
  }

  /** Throws where more lies behind the end that has come already. */
  async end(): Promise<void> {
    if (this.#left.length > 0) {
      throw new SealError('altered', `more than its ${this.#taken} bytes came`, { offset: this.#taken });
    }
    await this.#stream.return?.();
  }
}

/** The envelope alone may differ: whatever the records are bound to stays. */
async function exchangeHead(object: FileHandle, head: Uint8Array): Promise<void> {
  const [there, given] = [await headOf(object), await readObjectHead([head])];
  if (given.bytes.length !== there.bytes.length || !equalBytes(given.manifestBytes, there.manifestBytes)) {
    throw new RingwallError('proof-invalid', 'the broker answered with the head of another object');
  }
  await object.write(head, 0, head.length, 0);
}

function headOf(object: FileHandle): Promise<ObjectHead> {
  return readObjectHead(readFrom(object));
}

async function refuseWithoutRoom(context: WardenContext, bytes: number): Promise<void> {
  const freeBytes = await freeDiskBytes(context);
  if (bytes <= freeBytes) return;
  const [has, free] = [Math.ceil(bytes / MIB), Math.floor(freeBytes / MIB)];
  throw new RingwallError('host-full', `the snapshot has ${has} MiB, and ${free} MiB are free`, {
    hint: 'make room on the file system of the state directory',
  });
}

async function forgetOld({ underWay }: WardenContext, directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(path);
    const [snapshot = ''] = name.split('.');
    if (!underWay(snapshot) && Date.now() - mtimeMs > FORGOTTEN_MS) await rm(path, { force: true });
  }
}

function incomingDir({ layout }: WardenContext): string {
  return join(layout.snapshots, 'incoming');
}

/** `snapshot`, or one that it continues. */
function incomingFile(context: WardenContext, snapshot: SnapshotId, of: SnapshotId = snapshot): string {
  return join(incomingDir(context), of === snapshot ? snapshot : `${snapshot}.${of}`);
}

async function dropIncoming(
  context: WardenContext,
  {
    snapshot,
    bases = [],
  }: { readonly snapshot: SnapshotId; readonly bases?: readonly Pick<Coming, 'snapshot'>[] | undefined },
): Promise<void> {
  for (const { snapshot: of } of [...bases, { snapshot }]) {
    await rm(incomingFile(context, snapshot, of), { force: true });
  }
}
