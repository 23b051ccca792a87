// A bench with all that a VMM needs to start in its jail: boot files, and a TPM that was made and is not started.
import { join } from 'node:path';
import { openBench, type Bench } from '../../jail/testing/bench.ts';
import { manufactureTpm, type TpmOptions } from '../../swtpm/index.ts';
import { makeBootFiles } from './boot-files.ts';

export async function openTpmBench(name: string): Promise<{ readonly bench: Bench; readonly tpmOptions: TpmOptions }> {
  const bench = await openBench(name);
  bench.leases.release(bench.leases.acquire({ purpose: 'warm-up' }).uid);
  const tpmOptions = {
    machine: bench.name,
    stateDir: join(bench.dir, 'tpm-state'),
    runDir: join(bench.dir, 'tpm'),
    privateDir: join(bench.dir, 'leases'),
    stateKey: new Uint8Array(32).fill(7),
    leases: bench.leases,
  };
  await manufactureTpm({ ...tpmOptions, issueEkCertificate: async () => new Uint8Array(600) });
  await makeBootFiles(bench.dir);
  return { bench, tpmOptions };
}
