// Snapshots that leave this host and that come to it, as bytes: the sealed object is handed out as it lies there, and taken in beside
// everything else. What came is looked at to the last byte before the broker is asked about it, and opened and compared with this
// host before anything is made of it.
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { RingwallError, type ErrorBody, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SealedKey, VmSpec, WardenResponse } from '@ringwall/api/warden';
import { equalBytes } from '@ringwall/bytes';
import { nativeBlake3 } from '@ringwall/host/seal';
import { readObjectHead, scrub, SealError, type ObjectHead } from '@ringwall/seal';
import { fullOr, makeDirectory, namesIn, syncDirectory } from '../files/index.ts';
import type { WardenContext } from './context.ts';
import { explainFull, freeDiskBytes } from './full.ts';
import { machineLayout, snapshotFile } from './layout.ts';
import { makeArrived, sameMachine } from './machines.ts';
import { readSpec } from './records.ts';
import { asRestoreError, refuseOther } from './restore.ts';
import { refuseStranger } from './snapshot-chain.ts';
import { runsNow } from './running.ts';
import { readAbout, readFrom } from './snapshot-contents.ts';
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

export interface ReceiveOrder extends Which {
  readonly bytes: number;
  readonly root: string;
}

/** Turns the connection into the way by which an object comes; tells on it how that ended. `busy` while it lasts. */
export async function receiveSnapshot(
  context: WardenContext,
  order: ReceiveOrder,
  { upgrade }: StreamCall,
  run: (work: () => Promise<void>) => Promise<void>,
): Promise<Record<string, never>> {
  const file = incomingFile(context, order.snapshot);
  await makeDirectory(dirname(file), 0o700);
  await forgetOld(context, dirname(file));
  await refuseWithoutRoom(context, order.bytes);
  upgrade((stream) => run(() => receive(context, order, file, stream)));
  return {};
}

export interface SettleOrder extends Which {
  readonly spec: VmSpec;
  /** With the envelope for this host's broker. */
  readonly head: string;
  readonly key: SealedKey;
  readonly ekCertificate: string;
}

/** In the machine's queue. The snapshot is there from then on, and its machine, which is not put back to it yet. */
export async function settleImport(context: WardenContext, order: SettleOrder): Promise<Record<string, never>> {
  const machine = machineLayout(context.layout, order.machine);
  const file = incomingFile(context, order.snapshot);
  using key = context.keys.open(order.key, { snapshot: order.snapshot, machine: order.machine, use: 'import' });
  const existing = await readSpec(machine);
  if (existing !== undefined && (await runsNow(context, machine))) {
    throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it first: ringwall stop NAME' });
  }
  if (existing !== undefined) sameMachine(existing.spec, order.spec);
  try {
    await using object = await open(file, 'r+').catch((cause: unknown) => {
      throw new RingwallError('not-found', 'nothing of this snapshot has come', { hint: 'import it again', cause });
    });
    await exchangeHead(object, Buffer.from(order.head, 'base64'));
    const opened = await readAbout(object, [{ kind: 'key', key: key.expose() }]);
    refuseStranger(opened, order);
    if (opened.parent !== null) {
      throw new RingwallError('proof-invalid', 'the object continues another, which did not come with it');
    }
    const here = await platformOf(context, order.spec, await context.parts.host.accelerator());
    refuseOther(order.spec, opened.about, here);
    await object.sync();
    const place = async (): Promise<void> => {
      await makeDirectory(machine.snapshots, 0o700);
      await rename(file, snapshotFile(context.layout, order.machine, order.snapshot));
      await syncDirectory(machine.snapshots);
    };
    if (existing !== undefined) await place();
    else
      await makeArrived(context, machine, {
        spec: order.spec,
        ekCertificate: Buffer.from(order.ekCertificate, 'base64'),
        place,
      });
    return {};
  } catch (error) {
    const explained = asRestoreError(await explainFull(context, error));
    await rm(file, { force: true });
    throw explained;
  }
}

/** What a warden that was killed had begun to take in. */
export async function sweepIncoming(context: WardenContext): Promise<void> {
  await rm(incomingDir(context), { recursive: true, force: true });
}

async function receive(context: WardenContext, order: ReceiveOrder, file: string, stream: Duplex): Promise<void> {
  stream.on('error', () => stream.destroy());
  const say = (message: object): void => {
    if (stream.writable) stream.end(`${JSON.stringify(message)}\n`);
  };
  try {
    const head = await takeIn(order, file, stream);
    say({ done: { head: Buffer.from(head.bytes).toString('base64') } });
  } catch (error) {
    const explained = asRestoreError(fullOr(error));
    await rm(file, { force: true });
    const body: ErrorBody =
      explained instanceof RingwallError
        ? explained.toBody()
        : { code: 'internal', message: 'the import failed by a defect of ringwall', hint: 'see the log of the warden' };
    context.note(`${order.snapshot}: ${explained instanceof RingwallError ? explained.message : inspect(explained)}`);
    say({ error: body });
  }
}

/** Written as it comes, and compared with the root that was signed; nothing of it is held in memory. */
async function takeIn({ bytes, root }: ReceiveOrder, file: string, stream: Duplex): Promise<ObjectHead> {
  await using object = await open(file, 'w+', 0o600);
  let at = 0;
  async function* written(): AsyncGenerator<Uint8Array> {
    // What ends the reading must leave the way back open: how it ended is told on it.
    for await (const piece of stream.iterator({ destroyOnReturn: false })) {
      if (!(piece instanceof Uint8Array)) continue;
      if (at + piece.length > bytes)
        throw new SealError('altered', `more than its ${bytes} bytes came`, { offset: bytes });
      for (let done = 0; done < piece.length;) {
        done += (await object.write(piece, done, piece.length - done, at + done)).bytesWritten;
      }
      at += piece.length;
      yield piece;
      if (at === bytes) return;
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
    if (!underWay(name) && Date.now() - mtimeMs > FORGOTTEN_MS) await rm(path, { force: true });
  }
}

function incomingDir({ layout }: WardenContext): string {
  return join(layout.snapshots, 'incoming');
}

function incomingFile(context: WardenContext, snapshot: SnapshotId): string {
  return join(incomingDir(context), snapshot);
}
