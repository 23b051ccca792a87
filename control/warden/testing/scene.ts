// A warden on a host of the mind, asked by name: what the unit tests of this folder share.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newBootId, newMachineId, type MachineId } from '@ringwall/api';
import type { VmSpec, WardenRequest, WardenResponse } from '@ringwall/api/warden';
import { machineLayout, type MachineLayout } from '../layout.ts';
import { Warden, type WardenCall } from '../warden.ts';
import { FakeHost } from './fake-parts.ts';

/** The least that there is: a snapshot of it is read to its end. */
export const SPEC = { image: 'hello', cpus: 1, memoryMiB: 192, diskMiB: 32 } as const;
export const BROKER_KEY: string = 'ab'.repeat(64);
/** Directories of root are looked at for their owner. */
export const needsRoot: boolean = process.getuid?.() !== 0;

export const CALL: WardenCall = {
  progress: () => undefined,
  upgrade: () => undefined,
  signal: new AbortController().signal,
};

export class Scene {
  readonly #dir = mkdtempSync(join(tmpdir(), 'warden-'));
  readonly host: FakeHost = new FakeHost(this.#dir);
  readonly #open: Warden[] = [];
  readonly #notes: string[] = [];

  /** Another one on the same host is the next one, after a kill. */
  async openWarden(): Promise<Warden> {
    const { layout, parts } = this.host;
    const warden = await Warden.open({ layout, parts, note: (text) => void this.#notes.push(text) });
    this.#open.push(warden);
    return warden;
  }

  /** What all of them have said. */
  log(): string {
    return this.#notes.join('\n');
  }

  async end(): Promise<void> {
    await Promise.all(this.#open.map((warden) => warden.close()));
    rmSync(this.#dir, { recursive: true });
  }

  /** With its image. */
  async made(warden: Warden): Promise<{ id: MachineId; paths: MachineLayout }> {
    const id = newMachineId();
    await buildHello(warden);
    await create(warden, id);
    return { id, paths: machineLayout(this.host.layout, id) };
  }

  /** Everything of boots that is there. */
  runs(): string[] {
    const { processes, jails, layout } = this.host;
    return [
      ...[...processes.values()].map(({ name }) => `process ${name}`),
      ...[...jails.keys()].map((id) => `jail of ${id}`),
      ...readdirSync(layout.runMachines).map((name) => `run directory ${name}`),
    ];
  }
}

export function ask<Op extends WardenRequest['op']>(
  warden: Warden,
  request: Extract<WardenRequest, { op: Op }>,
): Promise<WardenResponse<Op>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the op of the request decides the type of its answer
  return warden.handle(request, CALL) as Promise<WardenResponse<Op>>;
}

export async function buildHello(warden: Warden): Promise<void> {
  await ask<'build-image'>(warden, { op: 'build-image', image: 'hello' });
}

export function create(
  warden: Warden,
  machine: MachineId,
  spec: VmSpec = SPEC,
): Promise<WardenResponse<'create-machine'>> {
  return ask<'create-machine'>(warden, { op: 'create-machine', machine, spec });
}

export function start(
  warden: Warden,
  machine: MachineId,
  boot: string = newBootId(),
): Promise<WardenResponse<'start-machine'>> {
  return ask<'start-machine'>(warden, { op: 'start-machine', machine, boot, brokerKey: BROKER_KEY });
}

export function stop(warden: Warden, machine: MachineId): Promise<WardenResponse<'stop-machine'>> {
  return ask<'stop-machine'>(warden, { op: 'stop-machine', machine, graceMs: 100 });
}

export function remove(warden: Warden, machine: MachineId): Promise<WardenResponse<'remove-machine'>> {
  return ask<'remove-machine'>(warden, { op: 'remove-machine', machine });
}

export function list(warden: Warden): Promise<WardenResponse<'list-machines'>> {
  return ask<'list-machines'>(warden, { op: 'list-machines' });
}

/** Those that there are, running or not. */
export async function existing(warden: Warden): Promise<MachineId[]> {
  return (await ask<'list-existing'>(warden, { op: 'list-existing' })).machines;
}
