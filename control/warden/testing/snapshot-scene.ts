// A machine that runs on a host of the mind, to be saved and put back: what the tests of snapshots share.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { newBootId, newSnapshotId, type DiskId, type MachineId, type SnapshotId } from '@ringwall/api';
import type { SnapshotKeyRequest } from '@ringwall/api/snapshots';
import type { SealedKey, WardenResponse } from '@ringwall/api/warden';
import { sealKey, Secret } from '../../keys/index.ts';
import { machineLayout, type MachineLayout } from '../layout.ts';
import type { Warden } from '../warden.ts';
import type { FakeHost } from './fake-parts.ts';
import { ask, BROKER_KEY, Scene, start, stop } from './scene.ts';

export const MEMORY: Buffer = Buffer.alloc(300_000, 'what its memory was, ');

/** As `moveOn()` leaves it. */
export const MOVED_ON = {
  disk: 'after the snapshot!',
  tpm: 'a later state',
  data: ['disk.img', 'tpm'],
  isRestoring: false,
};

export interface Taken extends WardenResponse<'take-snapshot'> {
  readonly snapshot: SnapshotId;
}

interface Running {
  readonly id: MachineId;
  readonly boot: string;
  /** Imported ones that it has. */
  readonly disks?: readonly DiskId[];
}

export class SnapshotScene {
  readonly #scene: Scene;
  readonly host: FakeHost;
  readonly id: MachineId;
  readonly machine: MachineLayout;
  readonly disks: readonly DiskId[];
  warden: Warden;
  boot: string;

  private constructor(scene: Scene, warden: Warden, { id, boot, disks = [] }: Running) {
    this.#scene = scene;
    this.host = scene.host;
    this.warden = warden;
    this.id = id;
    this.boot = boot;
    this.disks = disks;
    this.machine = machineLayout(scene.host.layout, id);
  }

  /** It runs, with something on its disk and in its memory. */
  static async begin(run: (scene: Scene, warden: Warden) => Promise<Running> = runPlain): Promise<SnapshotScene> {
    const scene = new Scene();
    const warden = await scene.openWarden();
    const begun = new SnapshotScene(scene, warden, await run(scene, warden));
    begun.writeDisk('before the snapshot');
    begun.host.memory = MEMORY;
    return begun;
  }

  openWarden(): Promise<Warden> {
    return this.#scene.openWarden();
  }

  runs(): string[] {
    return this.#scene.runs();
  }

  end(): Promise<void> {
    return this.#scene.end();
  }

  async keyFor(snapshot: SnapshotId, use: SnapshotKeyRequest['use']): Promise<SealedKey> {
    const asked = { op: 'ask-snapshot-key', snapshot, machine: this.id, use } as const;
    const { request } = await ask<'ask-snapshot-key'>(this.warden, asked);
    using key = Secret.take(Buffer.alloc(32, snapshot));
    return { publicKey: request.publicKey, sealed: Buffer.from(sealKey(key, request)).toString('base64') };
  }

  async take(after?: SnapshotId): Promise<Taken> {
    const snapshot = newSnapshotId();
    const key = await this.keyFor(snapshot, 'take');
    const taken = await ask<'take-snapshot'>(this.warden, {
      op: 'take-snapshot',
      machine: this.id,
      boot: this.boot,
      snapshot,
      sequence: 1,
      key,
      ...(after === undefined ? {} : { after }),
    });
    return { ...taken, snapshot };
  }

  async restore(
    { snapshot, root }: Pick<Taken, 'snapshot' | 'root'>,
    below: readonly Pick<Taken, 'snapshot' | 'root'>[] = [],
    /** Imported disks whose keys come along. */
    keyed: readonly DiskId[] = this.disks,
  ): Promise<WardenResponse<'restore-machine'>> {
    const key = await this.keyFor(snapshot, 'restore');
    const ancestors = await Promise.all(
      below.map(async (base) => ({
        snapshot: base.snapshot,
        root: base.root,
        key: await this.keyFor(base.snapshot, 'base'),
      })),
    );
    const boot = newBootId();
    const diskKeys = await diskKeysFor(this.warden, { id: this.id, boot, disks: keyed });
    const order = { machine: this.id, boot, brokerKey: BROKER_KEY, snapshot, root, key, ancestors, diskKeys };
    return ask<'restore-machine'>(this.warden, { op: 'restore-machine', ...order });
  }

  /** Stopped, with another disk and another TPM since. */
  async moveOn(): Promise<void> {
    await stop(this.warden, this.id);
    this.writeDisk(MOVED_ON.disk);
    writeFileSync(`${this.machine.tpmState}/tpm2-00.permall`, MOVED_ON.tpm);
    this.host.memory = Buffer.from('nothing');
  }

  /** What a restore that failed must not have changed. */
  state(): typeof MOVED_ON {
    return {
      disk: this.readDisk(),
      tpm: readFileSync(`${this.machine.tpmState}/tpm2-00.permall`, 'utf8'),
      data: readdirSync(this.machine.data).toSorted(),
      isRestoring: existsSync(`${this.machine.record}/restoring`),
    };
  }

  writeDisk(text: string, at = 4096): void {
    const disk = openSync(this.machine.disk, 'r+');
    writeSync(disk, text, at);
    closeSync(disk);
  }

  readDisk(at = 4096, length = 19, of: MachineLayout = this.machine): string {
    const disk = openSync(of.disk, 'r');
    const bytes = Buffer.alloc(length);
    readSync(disk, bytes, 0, length, at);
    closeSync(disk);
    return bytes.toString('latin1');
  }
}

/** As the broker releases them for a start. */
export async function diskKeysFor(
  warden: Warden,
  { id, boot, disks = [] }: Running,
): Promise<(SealedKey & { readonly disk: DiskId })[]> {
  return Promise.all(
    disks.map(async (disk) => {
      const asked = { op: 'ask-disk-key', disk, use: 'start', machine: id, boot } as const;
      const { request } = await ask<'ask-disk-key'>(warden, asked);
      using key = Secret.take(Buffer.from('a passphrase'));
      const sealed = Buffer.from(sealKey(key, request)).toString('base64');
      return { disk, publicKey: request.publicKey, sealed };
    }),
  );
}

async function runPlain(scene: Scene, warden: Warden): Promise<Running> {
  const { id } = await scene.made(warden);
  const boot = newBootId();
  await start(warden, id, boot);
  return { id, boot };
}
