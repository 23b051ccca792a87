// Saves what a machine is beside its memory and its disks, devices and TPM, as QEMU's migration stream, and loads it again (QEMU's
// docs/devel/migration). Memory lies in a file of its own and stays where it is: `x-ignore-shared` leaves it out. The stream is the
// VMM's own word: it is never parsed here, and goes back into a jail like the one that it came from.
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';
import { isRecord, type QmpClient, type QmpEvent } from './qmp.ts';

/** QEMU would write no faster than a network did in 2010. */
const MAX_BANDWIDTH_BYTES_PER_S = 64 * 2 ** 30;
/** Devices take milliseconds; a TPM that computes is waited for. */
const SAVE_TIMEOUT_MS = 10_000;
const LOAD_TIMEOUT_MS = 30_000;
const RESUME_TIMEOUT_MS = 30_000;
const POLL_MS = 5;
/** Devices without memory are loaded in a few milliseconds; somebody waits for the machine. */
const LOAD_POLL_MS = 1;

/** Before anything is saved, and before anything is loaded: both sides must know what is left out. */
export async function leaveMemoryOut(qmp: QmpClient): Promise<void> {
  const capabilities = ['events', 'x-ignore-shared'].map((capability) => ({ capability, state: true }));
  await qmp.execute('migrate-set-capabilities', { capabilities });
}

/** While the guest works still: what `saveDevices` goes by. */
export async function prepareToSave(qmp: QmpClient): Promise<void> {
  await leaveMemoryOut(qmp);
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': MAX_BANDWIDTH_BYTES_PER_S });
}

/**
 * Of a guest that stands still, after `prepareToSave`. `socket`, inside the jail: somebody listens there, who takes the whole stream.
 * QEMU has let go of its disks afterwards: `goOn`, and nothing else, makes the machine one again.
 */
export async function saveDevices(qmp: QmpClient, socket: string): Promise<void> {
  using stages = new Stages(qmp);
  await qmp.execute('migrate', { uri: `unix:${socket}` });
  await stages.completed();
}

/** Lets a guest go on that was stopped to be saved, whatever came of that. */
export async function goOn(qmp: QmpClient): Promise<void> {
  const deadline = performance.now() + RESUME_TIMEOUT_MS;
  for (;;) {
    const status = await qmp.query('query-status', statusOf);
    if (status === 'running') return;
    // Of a migration that is under way QEMU takes its disks back only when it was cancelled; of one that is over, at `cont`.
    if (status === 'finish-migrate') {
      await qmp.execute('migrate_cancel');
      await sleep(POLL_MS);
    } else await qmp.execute('cont');
    if (performance.now() > deadline) {
      throw new RingwallError('vmm-failed', `the guest stands still after its state was saved (${status})`);
    }
  }
}

/** Makes a VMM that was started `waiting` listen for devices on this socket inside the jail. */
export async function expectDevices(qmp: QmpClient, socket: string): Promise<void> {
  await leaveMemoryOut(qmp);
  await qmp.execute('migrate-incoming', { uri: `unix:${socket}` });
}

/** Waits until they are loaded, and lets the guest go on after `settle`. A VMM that refuses a state ends by itself. */
export async function resumeLoaded(qmp: QmpClient, settle?: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + LOAD_TIMEOUT_MS;
  for (;;) {
    const status = await qmp.query('query-status', statusOf);
    if (status !== 'inmigrate') break;
    if (performance.now() > deadline) {
      throw new RingwallError('vmm-failed', `QEMU has not loaded its state within ${LOAD_TIMEOUT_MS / 1000} s`);
    }
    await sleep(LOAD_POLL_MS);
  }
  await settle?.();
  await qmp.execute('cont');
}

/** How far QEMU is, as its events say. */
class Stages implements Disposable {
  readonly #qmp: QmpClient;
  readonly #unlisten: () => void;
  readonly #ended = Promise.withResolvers<string>();

  constructor(qmp: QmpClient) {
    this.#qmp = qmp;
    this.#unlisten = qmp.onEvent((event) => this.#take(event));
    void qmp.closed.then(() => this.#ended.resolve('closed'));
  }

  async completed(): Promise<void> {
    const timer = setTimeout(() => this.#ended.resolve('timeout'), SAVE_TIMEOUT_MS);
    const end = await this.#ended.promise;
    clearTimeout(timer);
    if (end === 'completed') return;
    if (end === 'timeout') {
      throw new RingwallError('timeout', `QEMU has not saved its devices within ${SAVE_TIMEOUT_MS / 1000} s`);
    }
    const why = await this.#qmp.query('query-migrate', reasonOf).catch(() => undefined);
    throw new RingwallError('vmm-failed', `QEMU could not save its devices: ${why ?? 'it gave no reason'}`);
  }

  [Symbol.dispose](): void {
    this.#unlisten();
  }

  #take({ event, data }: QmpEvent): void {
    const status = event === 'MIGRATION' ? data?.['status'] : undefined;
    if (status === 'completed' || status === 'failed' || status === 'cancelled') this.#ended.resolve(status);
  }
}

function reasonOf(reply: unknown): string | undefined {
  return isRecord(reply) && typeof reply['error-desc'] === 'string' ? reply['error-desc'] : undefined;
}

function statusOf(reply: unknown): string | undefined {
  return isRecord(reply) && typeof reply['status'] === 'string' ? reply['status'] : undefined;
}
