// A broker on its own socket in a temporary directory, with a vTPM CA and machines registered by it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  newBootId,
  newMachineId,
  RingwallError,
  type BootId,
  type Clones,
  type Encryption,
  type MachineId,
} from '@ringwall/api';
import type { BrokerResponse } from '@ringwall/api/broker';
import { referenceJson, type ReferenceContent, type Signer } from '@ringwall/evidence';
import { openVtpmCa, type VtpmCa } from '../../ca/index.ts';
import { Secret } from '../../keys/index.ts';
import type { BrokerOptions } from '../broker.ts';
import { connectBroker, type BrokerClient } from '../../machines/index.ts';
import { serveBroker, type RunningBroker } from '../index.ts';
import { bootEvents, contentFor, type BootEvent } from './boot-log.ts';
import { Guest } from './guest.ts';
import { makeReferenceKey, signNow } from './reference.ts';
import { SoftwareTpm, type GuestTpm } from './guest-tpm.ts';

export interface TestMachine<Tpm extends GuestTpm = SoftwareTpm> {
  readonly id: MachineId;
  readonly tpm: Tpm;
  readonly ekCertificate: Uint8Array;
}

export class BrokerInstance implements AsyncDisposable {
  readonly directory: string;
  readonly client: BrokerClient;
  readonly ca: VtpmCa;
  /** By which the host of these machines signs its reference values. */
  readonly hostKey: Promise<Signer> = makeReferenceKey();
  readonly #options: BrokerOptions;
  #broker: RunningBroker;

  private constructor(directory: string, ca: VtpmCa, broker: RunningBroker, options: BrokerOptions) {
    this.directory = directory;
    this.ca = ca;
    this.#broker = broker;
    this.#options = options;
    this.client = connectBroker(broker.socketPath);
  }

  static async start(options: BrokerOptions = {}): Promise<BrokerInstance> {
    const directory = mkdtempSync(join(tmpdir(), 'broker-'));
    using hostKey = Secret.random(32);
    const ca = await openVtpmCa(join(directory, 'vtpm-ca.json'), hostKey);
    return new BrokerInstance(directory, ca, await serveAt(directory, options), options);
  }

  /** As `kill -9` and a new start would leave it, but for what the kernel cleans up by itself. */
  async restart(): Promise<void> {
    await this.#broker.close();
    this.#broker = await serveAt(this.directory, this.#options);
  }

  /** For a look at what it has written. */
  async stop(): Promise<void> {
    await this.#broker.close();
  }

  get stateDirectory(): string {
    return join(this.directory, 'broker');
  }

  async brokerKey(): Promise<string> {
    return (await this.client.call({ op: 'status' })).key;
  }

  async addMachine(encryption: Encryption = 'guest', clones?: Clones): Promise<TestMachine> {
    return this.adopt(await SoftwareTpm.make(), encryption, clones);
  }

  /** Registers a machine with this TPM. */
  async adopt<Tpm extends GuestTpm>(
    tpm: Tpm,
    encryption: Encryption = 'guest',
    clones?: Clones,
  ): Promise<TestMachine<Tpm>> {
    const id = newMachineId();
    const ekCertificate = await this.ca.issueEkCertificate(tpm.ekPublic, id);
    await this.register(id, ekCertificate, { encryption, ...(clones && { clones }) });
    return { id, tpm, ekCertificate };
  }

  async register(
    id: MachineId,
    ekCertificate: Uint8Array,
    {
      vtpmCa = this.ca.certificates,
      ...chosen
    }: { vtpmCa?: VtpmCa['certificates']; encryption?: Encryption; clones?: Clones } = {},
  ): Promise<void> {
    await this.client.call({
      op: 'register-machine',
      machine: id,
      name: 'hello',
      ekCertificate: base64(ekCertificate),
      vtpmCa: vtpmCa.map(base64),
      ...chosen,
    });
  }

  /** Expects a boot, and powers the machine up with a session of its own. */
  async boot(
    machine: TestMachine<GuestTpm>,
    options: {
      measured?: readonly BootEvent[];
      expected?: readonly BootEvent[];
      /** The version of the image, as a byte of its digest. */
      image?: string;
      tpm?: GuestTpm;
    } = {},
  ): Promise<{ boot: BootId; guest: Guest }> {
    const boot = newBootId();
    await this.expect(machine.id, boot, contentFor(options.expected ?? bootEvents(), options.image));
    const guest = await this.connect(machine, boot, options.tpm);
    await guest.boot(options.measured ?? bootEvents());
    return { boot, guest };
  }

  /** What the host of these machines says of a boot. */
  async expect(machine: MachineId, boot: BootId, content: ReferenceContent, signer?: Signer): Promise<void> {
    const reference = referenceJson(await signNow(content, signer ?? (await this.hostKey), this.#options.now?.()));
    await this.client.call({ op: 'expect-boot', machine, boot, reference });
  }

  async connect(machine: TestMachine<GuestTpm>, boot: BootId, tpm: GuestTpm = machine.tpm): Promise<Guest> {
    const { stream } = await this.client.openStream({ op: 'open-session', machine: machine.id, boot });
    return new Guest(stream, tpm, machine.ekCertificate);
  }

  async verdict(machine: TestMachine<GuestTpm>, boot: BootId): Promise<BrokerResponse<'read-verdict'>> {
    return this.client.call({ op: 'read-verdict', machine: machine.id, boot });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function serveAt(directory: string, options: BrokerOptions): Promise<RunningBroker> {
  return serveBroker({
    ...options,
    stateDirectory: join(directory, 'broker'),
    socketPath: join(directory, 'broker.sock'),
  });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** The code that a call is refused with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'no error',
    (reason: unknown) => reason,
  );
  return error instanceof RingwallError ? error.code : String(error);
}
