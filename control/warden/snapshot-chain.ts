// A snapshot with all that it continues, opened to be put in place: nothing of it is used before each was found to be of this machine,
// and to continue the one before it.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { RingwallError, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey } from '@ringwall/api/warden';
import { fromHex } from '@ringwall/bytes';
import { openFiles, type OpenTarget, type Place } from '@ringwall/host/seal';
import { borrowCrew, type Crew } from '@ringwall/host/threads';
import type { Opener, Parent } from '@ringwall/seal';
import type { Secret } from '../keys/index.ts';
import type { WardenContext } from './context.ts';
import { snapshotFile } from './layout.ts';
import { diskPart, PARTS, readAbout, type ClearAbout, type OpenedAbout } from './snapshot-contents.ts';
import { openSnapshot } from './snapshots.ts';

export interface ChainedSnapshot {
  readonly snapshot: SnapshotId;
  /** As the broker has kept it. */
  readonly root: string;
  readonly key: SealedKey;
}

/** All empty. `disks`: the machine's own, then the imported ones. */
interface OpenPlaces {
  readonly memory?: Place;
  readonly disks: readonly Place[];
  readonly devices?: Place;
  readonly witness?: Place;
}

/** What another continues. */
export interface ChainLink {
  readonly root: string;
  readonly opened: ClearAbout;
}

interface Link extends ChainLink {
  readonly opened: OpenedAbout;
  readonly snapshot: SnapshotId;
  readonly object: FileHandle;
  readonly openers: readonly Opener[];
}

interface Newest {
  readonly opened: OpenedAbout;
  readonly keyDigest: Uint8Array;
}

export class SnapshotChain implements AsyncDisposable {
  readonly #links: readonly Link[];
  readonly #opened: AsyncDisposableStack;
  /** Its threads start while nothing but the beginning is read. */
  readonly #crew: Crew;
  readonly newest: OpenedAbout;
  /** Of the key of the newest. */
  readonly keyDigest: Uint8Array;

  private constructor(
    links: readonly Link[],
    newest: Newest,
    { opened, crew }: { readonly opened: AsyncDisposableStack; readonly crew: Crew },
  ) {
    this.#links = links;
    this.newest = newest.opened;
    this.keyDigest = newest.keyDigest;
    this.#opened = opened;
    this.#crew = crew;
  }

  /** From the whole one on to the one that is meant. `last`: what its key was asked for. */
  static async open(
    { layout, keys }: Pick<WardenContext, 'layout' | 'keys'>,
    machine: MachineId,
    wanted: readonly ChainedSnapshot[],
    last: Pick<SnapshotKeyRequest, 'use' | 'clone'> = { use: 'restore' },
  ): Promise<SnapshotChain> {
    await using opened = new AsyncDisposableStack();
    const crew = opened.use(borrowCrew());
    let keyDigest = new Uint8Array();
    // All keys first: each opens once, and what is left of the answers is forgotten.
    const openersOf = wanted.map(({ key, snapshot }, index) => {
      const use = index === wanted.length - 1 ? last : ({ use: 'base' } as const);
      const secret = opened.use(keys.open(key, { snapshot, machine, ...use }));
      keyDigest = digestOfKey(secret);
      return [{ kind: 'key', key: secret.expose() }] as const;
    });
    const links: Link[] = [];
    for (const [index, { snapshot, root }] of wanted.entries()) {
      const openers = openersOf[index] ?? [];
      const object = opened.use(await openSnapshot(snapshotFile(layout, machine, snapshot)));
      const about = await readAbout(object, openers);
      refuseStranger(about, { machine, snapshot });
      refuseOutOfPlace(about, links.at(-1));
      links.push({ snapshot, root, object, openers, opened: about });
    }
    const newest = links.at(-1)?.opened;
    if (newest === undefined) throw new RingwallError('internal', 'a chain of no snapshots');
    return new SnapshotChain(links, { opened: newest, keyDigest }, { opened: opened.move(), crew });
  }

  /**
   * One over the other; of devices and witness, only the newest count. All targets are empty; what has none is verified all the same. `disks`:
   * the machine's own, then the imported ones.
   */
  async openInto(
    { memory, disks, devices, witness }: OpenPlaces,
    onDone: (fraction: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const sizes = await Promise.all(this.#links.map(async ({ object }) => (await object.stat()).size));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let before = 0;
    let over: Parent | undefined;
    for (const [index, { object, openers, root, opened }] of this.#links.entries()) {
      const targets: OpenTarget[] = disks.map((place, at) => ({ part: diskPart(at), place }));
      if (memory !== undefined) targets.push({ part: PARTS.memory, place: memory });
      if (opened === this.newest) {
        if (devices !== undefined) targets.push({ part: PARTS.devices, place: devices });
        if (witness !== undefined) targets.push({ part: PARTS.witness, place: witness });
      }
      await openFiles(object.fd, () => targets, {
        openers,
        crew: this.#crew,
        root: fromHex(root),
        ...(over === undefined ? {} : { over }),
        ...(signal === undefined ? {} : { signal }),
        onDone: (done) => onDone(Math.min(1, (before + done) / total)),
      });
      before += sizes[index] ?? 0;
      over = { object: opened.object, root };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }
}

/** Says nothing of the key, and is the same for no other. */
export function digestOfKey(key: Secret): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update('ringwall snapshot key 1\n').update(key.expose()).digest());
}

/** Throws where the object says itself that it is another. */
export function refuseStranger(
  { named }: ClearAbout,
  { machine, snapshot }: { readonly machine: MachineId; readonly snapshot: SnapshotId },
): void {
  if (named.machine === machine && named.snapshot === snapshot) return;
  const [wrong, of] = [JSON.stringify(named.snapshot), JSON.stringify(named.machine)];
  throw new RingwallError('proof-invalid', `the object is ${wrong} of ${of}`);
}

/** Right behind the one before it, and laid out like it. A parent is named by its root: so no chain can come back to itself. */
export function refuseOutOfPlace({ parent, places }: ClearAbout, before: ChainLink | undefined): void {
  if (parent?.object !== before?.opened.object || parent?.root !== before?.root) {
    const [is, due] = [parent?.object, before?.opened.object].map((object) => object ?? 'none');
    throw new RingwallError('proof-invalid', `the snapshot continues object ${is}, and ${due} lies before it`, {
      hint: 'what it continues is missing, or another: nothing was changed',
    });
  }
  if (before !== undefined && JSON.stringify(places) !== JSON.stringify(before.opened.places)) {
    throw new RingwallError('proof-invalid', 'the snapshot is laid out otherwise than the one that it continues');
  }
}
