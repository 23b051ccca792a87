// A TPM for tests of the guest: a plain swtpm without a jail, made as a manufacturer would. Its EK certificate is bytes
// that nobody here checks.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bodyOf,
  commands,
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  EK_HANDLE,
  ekTemplate,
  fillTemplate,
  parseFields,
  parsePublic,
  PCR_COUNT,
  TPM_ALG,
  TPM_RH,
  type CommandTemplate,
  type TPMT_PUBLIC,
} from '@ringwall/tpm';

export const SWTPM = '/usr/bin/swtpm';
const START_TIMEOUT_MS = 10_000;

export interface TestTpm {
  readonly dir: string;
  readonly ekPublic: TPMT_PUBLIC;
  readonly ekCertificate: Uint8Array;
}

/** Makes the TPM's state in `dir`. */
export async function makeTpm(dir: string): Promise<TestTpm> {
  await mkdir(dir, { recursive: true });
  const server = join(dir, 'server.sock');
  const child = spawn(
    SWTPM,
    [...['socket', '--tpm2', '--tpmstate', `dir=${dir}`, '--server', `type=unixio,path=${server}`], ...NO_INIT],
    { stdio: 'ignore', env: {} },
  );
  try {
    const socket = await connectSoon(server, child);
    const send = async (command: CommandTemplate): Promise<Uint8Array> => {
      socket.write(fillTemplate(command));
      const response = await nextResponse(socket);
      bodyOf(response);
      return response;
    };
    const made = parseFields('createPrimary', await send(commands.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate())));
    const objectHandle = new DataView(made.objectHandle.buffer, made.objectHandle.byteOffset).getUint32(0);
    await send(commands.evictControl({ authHandle: TPM_RH.OWNER, objectHandle, persistentHandle: EK_HANDLE }));
    await send(commands.flushContext(objectHandle));
    const ekCertificate = crypto.getRandomValues(new Uint8Array(700));
    const index = { nvIndex: EK_CERTIFICATE_NV_INDEX };
    const attributes = EK_CERTIFICATE_NV_ATTRIBUTES;
    await send(commands.nvDefineSpace({ ...index, attributes, dataSize: ekCertificate.length }));
    await send(commands.nvWrite({ ...index, data: ekCertificate, offset: 0 }));
    const all = Array.from({ length: PCR_COUNT }, (_, pcr) => pcr);
    const off = [TPM_ALG.SHA1, TPM_ALG.SHA384, TPM_ALG.SHA512].map((hash) => ({ hash, pcrs: [] }));
    await send(commands.pcrAllocate([...off, { hash: TPM_ALG.SHA256, pcrs: all }]));
    await send(commands.shutdown());
    socket.destroy();
    return { dir, ekPublic: parsePublic(made.outPublic), ekCertificate };
  } finally {
    await end(child);
  }
}

/** For a VMM to connect to; it ends when the VMM does. */
export async function serveTpm(tpm: TestTpm, control: string): Promise<ChildProcess> {
  const child = spawn(
    SWTPM,
    ['socket', '--tpm2', '--tpmstate', `dir=${tpm.dir}`, '--ctrl', `type=unixio,path=${control}`, '--terminate'],
    { stdio: 'ignore', env: {} },
  );
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!existsSync(control)) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('swtpm did not start');
    await sleep(20);
  }
  return child;
}

/** Kills the process, where it still runs, and waits for its end. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function connectSoon(path: string, child: ChildProcess): Promise<Socket> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = connect(path);
    const connected = await new Promise<boolean>((done) => {
      socket.once('connect', () => done(true));
      socket.once('error', () => done(false));
    });
    if (connected) return socket;
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`nothing listens on ${path}`);
    await sleep(20);
  }
}

const NO_INIT = ['--flags', 'not-need-init,startup-clear'];

async function nextResponse(socket: Socket): Promise<Uint8Array> {
  const [bytes] = await once(socket, 'data');
  return new Uint8Array(bytes);
}
