// A host's own TPM for tests: swtpm behind a socket, with a boot log and a list of what ran extended into it as firmware
// and kernel would, and the files from which a warden reads both.
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { concatBytes, utf8, Writer } from '@ringwall/bytes';
import { openTpmSocket } from '@ringwall/host/tpm';
import {
  EK_CERTIFICATE_NV_ATTRIBUTES,
  EK_CERTIFICATE_NV_INDEX,
  ekTemplate,
  encodePublic,
  EV_NO_ACTION,
  parseEventLog,
  replayEventLog,
  TPM_RH,
  tpmOver,
  type Tpm,
} from '@ringwall/tpm';
import { connectSoon } from './connect-soon.ts';

const SWTPM = '/usr/bin/swtpm';
const AGGREGATED_PCRS = 10;
const IMA_PCR = 10;

export interface HostTpmFiles {
  readonly tpm: { readonly socket: string };
  readonly eventLog: string;
  readonly imaLog: string;
}

export class TestHostTpm implements AsyncDisposable {
  readonly dir: string;
  readonly config: HostTpmFiles;
  readonly #child: ChildProcess;

  private constructor(dir: string, child: ChildProcess) {
    this.dir = dir;
    this.config = { tpm: { socket: join(dir, 'tpm.sock') }, eventLog: join(dir, 'boot'), imaLog: join(dir, 'ran') };
    this.#child = child;
  }

  /** A TPM that never was before, and a host that booted as `eventLog` says. */
  static async boot(eventLog: Uint8Array): Promise<TestHostTpm> {
    const dir = mkdtempSync(join(tmpdir(), 'ringwall-host-tpm-'));
    const child = spawn(
      SWTPM,
      [
        ...['socket', '--tpm2', '--tpmstate', `dir=${dir}`],
        ...['--server', `type=unixio,path=${join(dir, 'tpm.sock')}`],
        ...['--ctrl', `type=unixio,path=${join(dir, 'ctrl.sock')}`],
        ...['--flags', 'not-need-init,startup-clear'],
      ],
      { stdio: 'ignore', env: {} },
    );
    await using cleanup = new AsyncDisposableStack();
    const host = cleanup.use(new TestHostTpm(dir, child));
    (await connectSoon(host.config.tpm.socket, child)).destroy();
    const log = parseEventLog(eventLog);
    await host.#use(async (tpm) => {
      for (const { pcr, type, digests } of log.events) {
        const digest = digests.get('sha256');
        if (type !== EV_NO_ACTION && digest !== undefined) await tpm.pcrExtend(pcr, digest);
      }
    });
    writeFileSync(host.config.eventLog, eventLog);
    writeFileSync(host.config.imaLog, '');
    const values = await replayEventLog(log, 'sha256');
    const boot = Array.from({ length: AGGREGATED_PCRS }, (_, pcr) => values.get(pcr) ?? new Uint8Array(32));
    await host.measure('boot_aggregate', sha256(concatBytes(...boot)));
    cleanup.move();
    return host;
  }

  /** As the kernel does when a file runs; of another content where a digest is given. */
  async measure(path: string, digest: Uint8Array = sha256(utf8(path))): Promise<void> {
    const data = new Writer()
      .sized32le((field) => field.bytes(utf8('sha256:\0')).bytes(digest))
      .sized32le((field) => field.bytes(utf8(`${path}\0`)))
      .finish();
    await this.#use((tpm) => tpm.pcrExtend(IMA_PCR, sha256(data)));
    const entry = new Writer()
      .u32le(IMA_PCR)
      .bytes(new Uint8Array(createHash('sha1').update(data).digest()))
      .sized32le((name) => name.bytes(utf8('ima-ng')))
      .sized32le((sized) => sized.bytes(data))
      .finish();
    appendFileSync(this.config.imaLog, entry);
  }

  /** What only somebody with the TPM at hand can do: no log says so. */
  async extend(pcr: number, digest: Uint8Array): Promise<void> {
    await this.#use((tpm) => tpm.pcrExtend(pcr, digest));
  }

  /** Stores the certificate that `certify` gives for the EK (TPMT_PUBLIC), as the maker of a TPM does. */
  async manufacture(certify: (ekPublic: Uint8Array) => Promise<Uint8Array>): Promise<void> {
    await this.#use(async (tpm) => {
      const { objectHandle, outPublic } = await tpm.createPrimary(TPM_RH.ENDORSEMENT, ekTemplate());
      await tpm.flushContext(objectHandle);
      const data = await certify(encodePublic(outPublic));
      const nvIndex = EK_CERTIFICATE_NV_INDEX;
      const attributes = EK_CERTIFICATE_NV_ATTRIBUTES;
      await tpm.nvDefineSpace({ nvIndex, attributes, dataSize: data.length });
      await tpm.nvWrite({ nvIndex, data, offset: 0 });
    });
  }

  /** Writes `host-tpm.json` of a warden. */
  configure(path: string): void {
    writeFileSync(path, JSON.stringify({ version: 1, ...this.config }), { mode: 0o600 });
    chmodSync(path, 0o600);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #use<T>(work: (tpm: Tpm) => Promise<T>): Promise<T> {
    await using transport = await openTpmSocket({ path: this.config.tpm.socket });
    return await work(tpmOver(transport));
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
