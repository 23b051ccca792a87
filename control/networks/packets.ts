// Streams of packets, for whoever may have them: asked of the warden, and handed on as they are.
import type { Duplex } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import type { CaptureOrder, WatchBegin } from '@ringwall/api/packets';
import type { WardenClient } from '../machines/clients.ts';
import { checkMachineReference } from '../machines/names.ts';
import type { Store } from '../store/index.ts';

/** The reader starts in a jail of its own. */
const BEGIN_TIMEOUT_MS = 30_000;

export interface PacketsOptions {
  readonly store: Store;
  readonly warden: Pick<WardenClient, 'openStream'>;
  readonly note: (line: string) => void;
}

export class Packets {
  readonly #use: PacketsOptions;

  constructor(options: PacketsOptions) {
    this.#use = options;
  }

  /** What is dropped in a network from now on. The caller destroys the stream. */
  async refused(idOrName: string): Promise<{ readonly begin: WatchBegin; readonly stream: Duplex }> {
    const { store, warden } = this.#use;
    const network = await store.networks.find(idOrName);
    if (network === undefined) throw new RingwallError('not-found', 'there is no such network');
    const request = { op: 'open-refused', network: network.id } as const;
    const { result, stream } = await warden.openStream(request, { timeoutMs: BEGIN_TIMEOUT_MS });
    const names = new Map((await store.listMachines()).map(({ id, name }) => [id, name]));
    const cables = result.cables.map(({ index, machine }) => ({ index, machine: names.get(machine) ?? machine }));
    return { begin: { cables }, stream };
  }

  /** What is on a machine's cable: told in the log at its beginning and its end. The caller destroys the stream. */
  async capture(idOrName: string, order: CaptureOrder): Promise<Duplex> {
    const { store, warden, note } = this.#use;
    checkMachineReference(idOrName);
    const machine = await store.findMachine(idOrName);
    if (machine === undefined) throw new RingwallError('not-found', `there is no machine ${idOrName}`);
    const { network } = machine.spec;
    if (network === undefined) {
      throw new RingwallError('conflict', `${machine.name} has no network card`, {
        hint: 'a card is given at ringwall run --network',
      });
    }
    const { seconds, bytes, filter } = order;
    const what = `${machine.id} (${machine.name}): ${String(seconds)} s, ${String(bytes)} bytes, filter ${JSON.stringify(filter ?? '')}`;
    const request = { op: 'open-capture', network, machine: machine.id, seconds, bytes } as const;
    const beganMs = Date.now();
    const { stream } = await warden.openStream(filter === undefined ? request : { ...request, filter }, {
      timeoutMs: BEGIN_TIMEOUT_MS,
    });
    note(`a capture begins of ${what}`);
    stream.once('close', () =>
      note(`a capture of ${machine.id} has ended after ${String(Math.round((Date.now() - beganMs) / 1_000))} s`),
    );
    return stream;
  }
}
