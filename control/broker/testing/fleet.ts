// Many machines that are watched, for a benchmark: written into a broker's store as unlocked boots of one image, and their
// guests, which answer with true quotes. What a boot costs is no part of it.
import { join } from 'node:path';
import { newBootId, newMachineId, type BootId, type MachineId } from '@ringwall/api';
import { concatBytes, fromHex, toHex } from '@ringwall/bytes';
import { observeQualifyingData, renderWatchRecord, startWatch, type WatchProgress } from '@ringwall/evidence';
import { ImaReplay, WATCHED_PCRS } from '@ringwall/tpm';
import { encodeIma, imaNg, sha, templateData, type TestImaEntry } from '../../../lib/tpm/testing/ima-list.ts';
import { Broker } from '../index.ts';
import { BrokerStore } from '../store.ts';
import type { WatchRow } from '../watch-store.ts';
import { bootEvents, sha256 } from './boot-log.ts';
import { SoftwareTpm } from './guest-tpm.ts';
import { imageFiles } from './image.ts';

/** Of a Debian that has booted. */
const ENTRIES_OF_BOOT = 300;
/** Programs of the image that machines run later, each machine in the same order. */
const PROGRAMS = 64;
const AGGREGATED_PCRS = 10;

/** One guest: what its watcher and its kernel know. */
export class FleetGuest {
  readonly machine: MachineId = newMachineId();
  readonly boot: BootId = newBootId();
  readonly tpm: SoftwareTpm;
  #imaPcr: Uint8Array;
  #ran = 0;

  constructor(tpm: SoftwareTpm, booted: WatchProgress) {
    this.tpm = tpm;
    this.#imaPcr = booted.ima.sha256;
  }

  /** The answer to an `observe` line; `runs`: one more program of the image has run. */
  async answer(line: string, runs: boolean): Promise<string> {
    const [, nonce = '', machine = '', boot = '', from = ''] = line.split(' ');
    const news = runs && this.#ran < PROGRAMS ? [program(this.#ran++)] : [];
    for (const entry of news) {
      this.#imaPcr = sha256(concatBytes(this.#imaPcr, sha('sha256', templateData(entry))));
    }
    const list = encodeIma(...news);
    const question = { nonce: fromHex(nonce), machine, boot, from: Number(from) };
    const { attest, signature } = await this.tpm.quoteWatched(await observeQualifyingData(question), this.#imaPcr);
    const lines = [`observed ${String(question.from + list.length)}`, `quote ${toHex(attest)} ${toHex(signature)}`];
    if (list.length > 0) lines.push(`ima-log ${toHex(list)}`);
    return `${[...lines, 'end'].join('\n')}\n`;
  }
}

/** Makes the state of a broker in `directory`, which no broker has open. */
export async function makeFleet(
  directory: string,
  { machines, intervalMs }: { readonly machines: number; readonly intervalMs: number },
): Promise<readonly FleetGuest[]> {
  // Only an empty broker makes its keys.
  (await Broker.open(directory))[Symbol.dispose]();
  using store = BrokerStore.open(join(directory, 'broker.db'));
  const files = imageFiles(...Array.from({ length: ENTRIES_OF_BOOT }, (_, index) => pathOfBoot(index)), ...PATHS);
  let booted: WatchProgress | undefined;
  const guests: FleetGuest[] = [];
  const rows: WatchRow[] = [];
  const now = new Date();
  for (let made = 0; made < machines; made += 1) {
    const tpm = await SoftwareTpm.make();
    const { akPublic } = await tpm.boot(bootEvents());
    const pcrs = WATCHED_PCRS.map((pcr) => tpm.pcr(pcr));
    // All are of one image: their lists are the same.
    booted ??= listOfBoot(pcrs);
    const guest = new FleetGuest(tpm, booted);
    const { machine: id, boot } = guest;
    const bytes = new Uint8Array(ROW_BYTES);
    const registered = {
      ekCertificate: bytes,
      vtpmCa: [bytes],
      keyVersion: 1,
      wrappedKey: bytes,
      disk: 'open',
      diskKind: 'encrypted',
    } as const;
    store.addMachine({ id, name: 'hello', ...registered }, now);
    store.expectBoot(id, boot, '{}');
    store.recordOutcome(id, boot, { state: 'unlocked', reasons: [], proven: [], at: now });
    const { clock, resetCount, restartCount } = tpm.clockInfo;
    const record = startWatch({ machine: id, boot, akPublic, pcrs, resetCount, restartCount, clock });
    rows.push({
      ...{ machine: id, boot, mode: 'enforce', intervalMs, files: files.sha256, state: 'expected', reasons: [] },
      record: renderWatchRecord({ ...record, proven: booted }),
      ...{
        provenAt: now,
        seenAt: now,
        readmittedAt: undefined,
        readmittedStrays: 0,
        image: undefined,
        answered: undefined,
        notedClock: undefined,
      },
    });
    guests.push(guest);
  }
  store.watches.save({ watches: rows });
  store.watches.addFiles(files.sha256, files.text);
  return guests;
}

/** Of a certificate or a wrapped key, for its place in the store alone. */
const ROW_BYTES = 600;
const PATHS: readonly string[] = Array.from({ length: PROGRAMS }, (_, index) => `/usr/bin/program-${String(index)}`);

function program(index: number): TestImaEntry {
  return imaNg(PATHS[index] ?? '');
}

function pathOfBoot(index: number): string {
  return `/usr/lib/x86_64-linux-gnu/library-${String(index)}.so`;
}

function listOfBoot(pcrs: readonly Uint8Array[]): WatchProgress {
  const aggregate = imaNg('boot_aggregate', sha('sha256', concatBytes(...pcrs.slice(0, AGGREGATED_PCRS))));
  const libraries = Array.from({ length: ENTRIES_OF_BOOT }, (_, index) => imaNg(pathOfBoot(index)));
  const replay = new ImaReplay();
  replay.push(encodeIma(aggregate, ...libraries));
  return { ima: replay.state, strays: [], strayCount: 0 };
}
