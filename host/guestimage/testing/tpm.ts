// A TPM for tests of the guest: a plain swtpm without a jail, made as a manufacturer would. Its EK certificate is bytes
// that nobody here checks.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { bodyOf, commands, parsePublic, PCR_COUNT, TPM_ALG, type TPMT_PUBLIC } from '@ringwall/tpm';
import { listensSoon } from '../../../testkit/listens-soon.ts';
import { PlainTpm } from '../../../testkit/plain-tpm.ts';

export const SWTPM = '/usr/bin/swtpm';

export interface TestTpm {
  readonly dir: string;
  readonly ekPublic: TPMT_PUBLIC;
  readonly ekCertificate: Uint8Array;
}

/** Makes the TPM's state in `dir`. */
export async function makeTpm(
  dir: string,
  certify: (ekPublic: TPMT_PUBLIC) => Promise<Uint8Array> = async () => crypto.getRandomValues(new Uint8Array(700)),
): Promise<TestTpm> {
  await using tpm = await PlainTpm.start(dir);
  let made: Omit<TestTpm, 'dir'> | undefined;
  await tpm.manufacture(async (bytes) => {
    const ekPublic = parsePublic(bytes);
    made = { ekPublic, ekCertificate: await certify(ekPublic) };
    return made.ekCertificate;
  });
  if (made === undefined) throw new Error('the TPM has no EK');
  const all = Array.from({ length: PCR_COUNT }, (_, pcr) => pcr);
  const off = [TPM_ALG.SHA1, TPM_ALG.SHA384, TPM_ALG.SHA512].map((hash) => ({ hash, pcrs: [] }));
  bodyOf(await tpm.run(commands.pcrAllocate([...off, { hash: TPM_ALG.SHA256, pcrs: all }])));
  bodyOf(await tpm.run(commands.shutdown()));
  return { dir, ...made };
}

/** For a VMM to connect to; it ends when the VMM does. */
export async function serveTpm(tpm: TestTpm, control: string): Promise<ChildProcess> {
  const child = spawn(
    SWTPM,
    ['socket', '--tpm2', '--tpmstate', `dir=${tpm.dir}`, '--ctrl', `type=unixio,path=${control}`, '--terminate'],
    { stdio: 'ignore', env: {} },
  );
  await listensSoon(control, child);
  return child;
}

/** Kills the process, where it still runs, and waits for its end. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
