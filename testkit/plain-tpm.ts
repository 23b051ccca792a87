// A TPM outside every jail, as an attacker or a test would run one: swtpm with its commands on a Unix socket.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concatBytes, Cursor } from '@ringwall/bytes';
import {
  bodyOf,
  commands,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  fillTemplate,
  guestCommands,
  MAX_RESPONSE_BYTES,
  parseFields,
  TPM_RH,
  type CommandTemplate,
  type GuestCommandName,
} from '@ringwall/tpm';
import { connectSoon } from './connect-soon.ts';

const SWTPM = '/usr/bin/swtpm';
const RESPONSE_TIMEOUT_MS = 120_000;
/** tag, size, code. */
const HEADER_BYTES = 10;

export const SWTPM_PRESENT: boolean = existsSync(SWTPM);

/** Ends a test's title where it skips for want of swtpm. */
export const NEEDS_SWTPM: string = SWTPM_PRESENT ? '' : ` (skipped: needs ${SWTPM})`;

export class PlainTpm implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  /** What goes with this TPM. */
  readonly #ownDirectory: string | undefined;

  private constructor(child: ChildProcess, socket: Socket, ownDirectory: string | undefined) {
    this.#child = child;
    this.#socket = socket;
    this.#ownDirectory = ownDirectory;
  }

  /** A TPM that never was before, in a directory that goes with it. */
  static async fresh(): Promise<PlainTpm> {
    const directory = await mkdtemp(join(tmpdir(), 'ringwall-tpm-'));
    return PlainTpm.#open(directory, directory);
  }

  /** Starts swtpm on the state in `directory`, which is made where it is missing. The TPM has had its Startup. */
  static async start(directory: string): Promise<PlainTpm> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return PlainTpm.#open(directory, undefined);
  }

  static async #open(directory: string, ownDirectory: string | undefined): Promise<PlainTpm> {
    const server = join(directory, 'server.sock');
    const child = spawn(
      SWTPM,
      [
        ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`],
        ...['--server', `type=unixio,path=${server}`],
        ...['--ctrl', `type=unixio,path=${join(directory, 'ctrl.sock')}`],
        ...['--flags', 'not-need-init,startup-clear'],
      ],
      { stdio: 'ignore', env: {} },
    );
    try {
      return new PlainTpm(child, await connectSoon(server, child), ownDirectory);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Makes the EK and stores the certificate that `certify` gives for its public area (TPMT_PUBLIC). */
  async manufacture(certify: (ekPublic: Uint8Array) => Promise<Uint8Array>): Promise<void> {
    const made = parseFields('createPrimary', await this.run(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate())));
    const objectHandle = new Cursor(made.objectHandle).u32be('objectHandle');
    const certificate = await certify(new Uint8Array(made.outPublic));
    const nvIndex = EK_CERTIFICATE_NV_INDEX;
    for (const command of [
      commands.evictControl({ authHandle: TPM_RH.OWNER, objectHandle, persistentHandle: EK_HANDLE }),
      commands.flushContext(objectHandle),
      commands.nvDefineSpace({
        nvIndex,
        attributes: EK_CERTIFICATE_NV_ATTRIBUTES,
        dataSize: certificate.length,
      }),
      commands.nvWrite({ nvIndex, data: certificate, offset: 0 }),
    ]) {
      bodyOf(await this.run(command));
    }
  }

  run(template: CommandTemplate): Promise<Uint8Array> {
    return this.send(fillTemplate(template));
  }

  /** One of the commands that the guest's initrd sends. */
  guest(name: GuestCommandName, values: Readonly<Record<string, Uint8Array>> = {}): Promise<Uint8Array> {
    return this.send(fillTemplate(guestCommands[name], values));
  }

  send(command: Uint8Array): Promise<Uint8Array> {
    const answer = readResponse(this.#socket);
    this.#socket.write(command);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((done) => this.#child.once('exit', done));
      this.#child.kill('SIGTERM');
      await ended;
    }
    if (this.#ownDirectory !== undefined) await rm(this.#ownDirectory, { recursive: true, force: true });
  }
}

function readResponse(socket: Socket): Promise<Uint8Array> {
  let received: Uint8Array = new Uint8Array(0);
  return new Promise((done, fail) => {
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      if (error === undefined) done(received);
      else fail(error);
    };
    const onClose = (): void => finish(new Error('the TPM closed its socket'));
    const onData = (chunk: Uint8Array): void => {
      received = concatBytes(received, chunk);
      if (received.length > MAX_RESPONSE_BYTES) finish(new Error('the TPM does not stop'));
      else if (
        received.length >= HEADER_BYTES &&
        received.length >= new Cursor(received.slice(2)).u32be('responseSize')
      )
        finish();
    };
    const timer = setTimeout(() => finish(new Error('the TPM did not answer')), RESPONSE_TIMEOUT_MS);
    socket.on('data', onData).once('close', onClose);
  });
}
