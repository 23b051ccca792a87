// A taken-over ringwalld: it has the sockets of the warden and of the broker, makes and starts a machine as ringwalld does,
// and sits between the guest and the broker. Every line can be read, changed, held back or sent to somebody else.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { MACHINE_DEFAULTS, newBootId, newMachineId, type BootId, type MachineId } from '@ringwall/api';
import {
  WARDEN_LINE_LIMIT_BYTES,
  wardenResponseSchemas,
  type WardenRequest,
  type WardenResponse,
} from '@ringwall/api/warden';
import { concatBytes, fromHex, toHex } from '@ringwall/bytes';
import { LineClient } from '@ringwall/control/rpc';
import type { Challenge, VtpmEvidence } from '@ringwall/evidence';
import type { Instance } from '@ringwall/testkit';
import { brokerClient, type BrokerClient } from './broker-session.ts';

/** A start under emulation on a busy host; the warden's own limits are shorter. */
const START_TIMEOUT_MS = 120_000;
/** Firmware and kernel come first: 20 s under emulation, more on a busy host. */
const GUEST_TIMEOUT_MS = 180_000;
/** The least that an image asks for: it never gets a key to put on it. */
const DISK_MIB = 64;

type WardenClient = LineClient<WardenRequest, typeof wardenResponseSchemas>;

export function wardenClient(ringwall: Instance): WardenClient {
  return new LineClient<WardenRequest, typeof wardenResponseSchemas>({
    path: join(ringwall.runDir, 'warden', 'warden.sock'),
    responseSchemas: wardenResponseSchemas,
    lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
    peer: 'the warden',
    unavailable: 'warden-unavailable',
    hint: 'it is started with the drills',
  });
}

export interface StartedBoot {
  readonly boot: BootId;
  /** What this boot must measure by the word of the host. */
  readonly reference: WardenResponse<'start-machine'>['reference'];
}

/** A machine of image hello that ringwalld knows nothing of. */
export class RelayedMachine implements AsyncDisposable {
  readonly id: MachineId = newMachineId();
  readonly broker: BrokerClient;
  #ekCertificate: Uint8Array = new Uint8Array();
  readonly #warden: WardenClient;

  private constructor(ringwall: Instance) {
    this.broker = brokerClient(ringwall);
    this.#warden = wardenClient(ringwall);
  }

  /** Makes it at the warden and registers it at the broker. */
  static async make(ringwall: Instance): Promise<RelayedMachine> {
    const machine = new RelayedMachine(ringwall);
    const spec = { ...MACHINE_DEFAULTS, image: 'hello', diskMiB: DISK_MIB };
    const { ekCertificate, vtpmCa } = await machine.#warden.call({ op: 'create-machine', machine: machine.id, spec });
    machine.#ekCertificate = new Uint8Array(Buffer.from(ekCertificate, 'base64'));
    await machine.broker.call({
      op: 'register-machine',
      machine: machine.id,
      name: 'relayed',
      ekCertificate,
      vtpmCa,
    });
    return machine;
  }

  /** DER, as its TPM gives it to anybody. */
  get ekCertificate(): Uint8Array {
    return this.#ekCertificate;
  }

  /** Starts it. A `brokerKey` other than the broker's is another command line. */
  async start(brokerKey?: string): Promise<StartedBoot> {
    const boot = newBootId();
    const { key } = await this.broker.call({ op: 'status' });
    const { reference } = await this.#warden.call(
      { op: 'start-machine', machine: this.id, boot, brokerKey: brokerKey ?? key },
      { timeoutMs: START_TIMEOUT_MS },
    );
    return { boot, reference };
  }

  async stop(): Promise<void> {
    await this.#warden.call({ op: 'stop-machine', machine: this.id, graceMs: 0 }, { timeoutMs: START_TIMEOUT_MS });
  }

  async openPort(): Promise<GuestPort> {
    const { stream } = await this.#warden.openStream({ op: 'open-attest-port', machine: this.id });
    return new GuestPort(stream);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#warden.call({ op: 'remove-machine', machine: this.id });
    await this.broker.call({ op: 'forget-machine', machine: this.id });
  }
}

/** The guest's end of the relay. A guest that has its answer held back proves itself again for another challenge. */
export class GuestPort implements Disposable {
  readonly #stream: Duplex;
  readonly #lines: AsyncIterator<string>;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('error', () => {});
    this.#lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  }

  /** Until the guest asks for a challenge. */
  async hello(): Promise<void> {
    await this.until('hello 1');
  }

  /** What the guest answers to a challenge of anybody's. */
  async answer({ nonce, machine, boot }: Challenge): Promise<VtpmEvidence> {
    this.send(`challenge ${toHex(nonce)} ${machine} ${boot}\n`);
    await this.until('evidence');
    const fields = new Map<string, Uint8Array[]>();
    for (let line = await this.line(); line !== 'end'; line = await this.line()) {
      const [word = '', ...values] = line.split(' ');
      fields.set(word, [...(fields.get(word) ?? []), ...values.map((value) => fromHex(value))]);
    }
    const field = (word: string, index = 0): Uint8Array => {
      const bytes = fields.get(word)?.[index];
      if (bytes === undefined) throw new Error(`the guest sent no ${word}`);
      return bytes;
    };
    return {
      kind: 'vtpm',
      ekCertificate: field('ek-certificate'),
      akPublic: field('ak-public'),
      bootPublic: field('boot-public'),
      certify: field('certify'),
      certifySignature: field('certify', 1),
      quote: field('quote'),
      quoteSignature: field('quote', 1),
      eventLog: concatBytes(...(fields.get('event-log') ?? [])),
    };
  }

  send(text: string): void {
    this.#stream.write(text);
  }

  /** The next line that begins so; those before it are held back. */
  async until(beginning: string): Promise<string> {
    for (;;) {
      const line = await this.line();
      if (line.startsWith(beginning)) return line;
      if (line.startsWith('failed ')) throw new Error(`the guest gave up: ${line.slice('failed '.length)}`);
    }
  }

  async line(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, fail) => {
      timer = setTimeout(() => fail(new Error('the guest says nothing')), GUEST_TIMEOUT_MS);
    });
    const { done, value } = await Promise.race([this.#lines.next(), silence]).finally(() => clearTimeout(timer));
    if (done === true) throw new Error('the guest’s port was closed');
    return value;
  }

  [Symbol.dispose](): void {
    this.#stream.destroy();
  }
}
