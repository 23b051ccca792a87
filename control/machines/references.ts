// Reference values and explanations, as the API asks for them. The broker decides; the warden says what images measure.
import {
  MACHINE_DEFAULTS,
  type ReferenceAccepted,
  type ReferenceBuilt,
  type ReferenceDiff,
  type ReferenceList,
  type ReferenceSubject,
  type ReferenceTrial,
  type HostReferenceBuilt,
  type Why,
} from '@ringwall/api';
import type { Store } from '../store/index.ts';
import type { BrokerClient, WardenClient } from './clients.ts';
import type { Machines } from './machines.ts';

/** Each is a prediction of some milliseconds. */
const MAX_SIZES = 32;
/** A dry run judges a thousand times. */
const TRY_TIMEOUT_MS = 60_000;
/** Some hundred files are read, and keys made in a TPM. */
const HOST_TIMEOUT_MS = 120_000;

export class References {
  readonly #broker: Pick<BrokerClient, 'call'>;
  readonly #warden: Pick<WardenClient, 'call'>;
  readonly #machines: Pick<Machines, 'find' | 'list'>;
  readonly #store: Pick<Store, 'appendEvent'>;

  constructor(parts: {
    readonly broker: Pick<BrokerClient, 'call'>;
    readonly warden: Pick<WardenClient, 'call'>;
    readonly machines: Pick<Machines, 'find' | 'list'>;
    readonly store: Pick<Store, 'appendEvent'>;
  }) {
    this.#broker = parts.broker;
    this.#warden = parts.warden;
    this.#machines = parts.machines;
    this.#store = parts.store;
  }

  list(): Promise<ReferenceList> {
    return this.#broker.call({ op: 'list-references' });
  }

  diff(subject: ReferenceSubject): Promise<ReferenceDiff> {
    return this.#broker.call({ op: 'diff-reference', subject });
  }

  try(subject: ReferenceSubject): Promise<ReferenceTrial> {
    return this.#broker.call({ op: 'try-reference', subject }, { timeoutMs: TRY_TIMEOUT_MS });
  }

  async accept(subject: ReferenceSubject): Promise<ReferenceAccepted> {
    const answer = await this.#broker.call({ op: 'accept-reference', subject });
    const message = `what ${answer.subject} must measure was accepted: ${answer.accepted.join(', ')}`;
    await this.#store.appendEvent({ kind: 'reference.accepted', message });
    return answer;
  }

  /** Of an image on this host, for every size that a machine of it has, as proposals to the broker. */
  async build(image: string): Promise<ReferenceBuilt> {
    const { key } = await this.#broker.call({ op: 'status' });
    const machines = (await this.#machines.list()).filter(({ spec }) => spec.image === image);
    const sizes = new Map(
      [MACHINE_DEFAULTS, ...machines.map(({ spec }) => spec)].map(({ memoryMiB, cpus }) => [
        `${String(memoryMiB)} ${String(cpus)}`,
        { memoryMiB, cpus },
      ]),
    );
    const references: Record<string, unknown>[] = [];
    for (const size of [...sizes.values()].slice(0, MAX_SIZES)) {
      const { reference } = await this.#warden.call({ op: 'build-reference', image, brokerKey: key, ...size });
      await this.#broker.call({ op: 'propose-reference', reference });
      references.push(reference);
    }
    return { references };
  }

  /** What this host is by its own word. It counts for nothing until somebody accepts it. */
  host(everything: boolean): Promise<HostReferenceBuilt> {
    return this.#warden.call({ op: 'host-reference', everything }, { timeoutMs: HOST_TIMEOUT_MS });
  }

  async why(idOrName: string): Promise<Why> {
    const machine = await this.#machines.find(idOrName);
    return this.#broker.call({ op: 'explain-machine', machine: machine.id });
  }

  /** The last proof as a result for other systems. */
  async ear(idOrName: string): Promise<{ readonly token: string }> {
    const machine = await this.#machines.find(idOrName);
    return this.#broker.call({ op: 'read-ear', machine: machine.id });
  }
}
