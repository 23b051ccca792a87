// A running machine saved and put back, against QEMU's own ways with the same kernel and initrd under the same accelerator, in one run:
// `savevm` into QCOW2, in clear, and `migrate` piped through age. Ours is the whole product (command line, daemon, warden, broker, jails);
// what is compared is what the warden says that it took, from its order to the last fsync, and for a restore the whole command.
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Snapshot } from '@ringwall/api/snapshots';
import { run } from '@ringwall/host/exec';
import { Instance } from '@ringwall/testkit';
import { median, type Figure } from './measure.ts';
import { SavedGuest, type PipeFigures } from './saved-guest.ts';

const AGE = '/usr/bin/age';
const SIZES_MIB = [512, 2048] as const;
const CPUS = 1;
const DISK_MIB = 64;
const RUNS = 3;
const NAME = 'bench';
/** Between two snapshots of a machine that has nothing to do. */
const IDLE_MS = 2_000;
const FILL_TIMEOUT_MS = 120_000;
const GOALS = { againstAge: 0.5, againstSaveVm: 1, pauseMs: 100, second: 0.15, loadVm: 0.5, ageBack: 0.35 };

export async function benchSnapshot(): Promise<Figure[]> {
  if (!existsSync(AGE)) throw new Error('bench snapshot needs age: apt-get install age');
  const figures: Figure[] = [];
  for (const memoryMiB of SIZES_MIB) figures.push(...(await benchSize(memoryMiB)));
  return figures;
}

async function benchSize(memoryMiB: number): Promise<Figure[]> {
  await using ringwall = await Instance.start();
  const dir = mkdtempSync('/var/tmp/ringwall-bench-');
  try {
    const ours = await new Ours(ringwall, memoryMiB).measure();
    await using guest = new SavedGuest(dir, join(ringwall.stateDir, 'images', 'hello'), { memoryMiB, cpus: CPUS });
    const theirs = await measurePeers(guest, dir, memoryMiB);
    return figuresOf(memoryMiB, ours, theirs);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

interface OurFigures {
  readonly full: readonly Snapshot[];
  readonly next: readonly Snapshot[];
  readonly restoreMs: number;
}

class Ours {
  readonly #ringwall: Instance;
  readonly #memoryMiB: number;

  constructor(ringwall: Instance, memoryMiB: number) {
    this.#ringwall = ringwall;
    this.#memoryMiB = memoryMiB;
  }

  async measure(): Promise<OurFigures> {
    const size = ['--cpus', String(CPUS), '--memory', `${String(this.#memoryMiB)}M`, '--disk', `${String(DISK_MIB)}M`];
    await this.#ringwall.ok('run', 'hello', '--name', NAME, ...size);
    await this.#fill();
    const [full, next]: [Snapshot[], Snapshot[]] = [[], []];
    for (let turn = 0; turn < RUNS; turn += 1) {
      full.push(await this.#take('--full'));
      await sleep(IDLE_MS);
      next.push(await this.#take());
    }
    await this.#ringwall.ok('stop', NAME);
    const startedAt = performance.now();
    await this.#ringwall.ok('restore', NAME);
    const restoreMs = performance.now() - startedAt;
    await this.#ringwall.ok('rm', '--force', NAME);
    return { full, next, restoreMs };
  }

  /** Until half of its memory was touched. */
  async #fill(): Promise<void> {
    const { machine } = await this.#ringwall.show(NAME);
    const memory = join(this.#ringwall.runDir, 'machines', machine.id, 'memory', 'ram');
    const touchedMiB = (statSync(memory).blocks * 512) / 2 ** 20;
    const missing = Math.max(0, Math.round(this.#memoryMiB / 2 - touchedMiB));
    using console = await this.#ringwall.openConsole(NAME);
    await console.run('mkdir -p /run/fill && mount -t tmpfs -o size=95% fill /run/fill');
    await console.run(fillCommand('/run/fill', missing), FILL_TIMEOUT_MS);
  }

  async #take(...more: readonly string[]): Promise<Snapshot> {
    await this.#ringwall.ok('snapshot', NAME, ...more);
    const { snapshots }: { snapshots: Snapshot[] } = JSON.parse(await this.#ringwall.ok('snapshot', 'ls', '--json'));
    const [newest] = snapshots.toSorted((a, b) => b.sequence - a.sequence);
    if (newest === undefined) throw new Error('there is no snapshot');
    return newest;
  }
}

interface Saved {
  /** Until it is on the disk. */
  readonly tookMs: number;
  readonly pauseMs: number;
  readonly bytes: number;
  readonly restoreMs: number;
}

interface Peers {
  readonly saveVm: Saved;
  readonly age: Saved;
  /** Until QEMU has closed its pipe: age may still write then, and nothing needs to be on the disk. */
  readonly ageUnsyncedMs: number;
}

async function measurePeers(guest: SavedGuest, dir: string, memoryMiB: number): Promise<Peers> {
  const [key, file] = [join(dir, 'key'), join(dir, 'state.age')];
  await run(['/usr/bin/age-keygen', '-o', key]);
  const recipient = (await run(['/usr/bin/age-keygen', '-y', key])).stdout.toString().trim();
  await guest.boot();
  await guest.shell(fillCommand('/run', Math.max(0, Math.round(memoryMiB / 2 - guest.touchedMiB()))));
  const saved: { tookMs: number; bytes: number }[] = [];
  const piped: PipeFigures[] = [];
  for (let turn = 0; turn < RUNS; turn += 1) {
    saved.push(await guest.saveVm());
    rmSync(file, { force: true });
    piped.push(await guest.pipeTo(`${AGE} -r ${recipient} -o ${file}`, file));
    await sleep(IDLE_MS);
  }
  const loadMs = await guest.restoreVm();
  const ageBackMs = await guest.restoreFrom(`${AGE} -d -i ${key} ${file}`);
  const saveMs = median(saved.map(({ tookMs }) => tookMs));
  return {
    saveVm: {
      tookMs: saveMs,
      pauseMs: saveMs,
      bytes: Math.max(...saved.map(({ bytes }) => bytes)),
      restoreMs: loadMs,
    },
    ageUnsyncedMs: median(piped.map(({ tookMs }) => tookMs)),
    age: {
      tookMs: median(piped.map(({ syncedMs }) => syncedMs)),
      pauseMs: median(piped.map(({ pauseMs }) => pauseMs)),
      bytes: statSync(file).size,
      restoreMs: ageBackMs,
    },
  };
}

/** What does not compress, and is not twice the same. */
function fillCommand(dir: string, mebibytes: number): string {
  return `dd if=/dev/urandom of=${dir}/filled bs=1M count=${String(mebibytes)} 2>/dev/null`;
}

function figuresOf(memoryMiB: number, ours: OurFigures, peers: Peers): Figure[] {
  const { saveVm, age, ageUnsyncedMs } = peers;
  const what = `a guest of ${String(memoryMiB)} MiB, half of it touched`;
  const [tookMs, pauseMs, bytes] = [
    medianOf(ours.full, 'tookMs'),
    medianOf(ours.full, 'pauseMs'),
    medianOf(ours.full, 'bytes'),
  ];
  const next = { tookMs: medianOf(ours.next, 'tookMs'), bytes: medianOf(ours.next, 'bytes') };
  const [toAge, toSaveVm] = [tookMs / age.tookMs, tookMs / saveVm.tookMs];
  const [time, size] = [next.tookMs / tookMs, next.bytes / bytes];
  const [toLoad, toAgeBack] = [ours.restoreMs / saveVm.restoreMs, ours.restoreMs / age.restoreMs];
  return [
    {
      name: `saving ${what}, to the last fsync, against QEMU's migrate | age, synced too`,
      value: `${ms(tookMs)}, ${mib(bytes)} against ${ms(age.tookMs)}, ${mib(age.bytes)}: ratio ${toAge.toFixed(2)} (${(tookMs / ageUnsyncedMs).toFixed(2)} of ${ms(ageUnsyncedMs)} until age's pipe is closed)`,
      goal: { text: `at most ${String(GOALS.againstAge)}`, met: toAge <= GOALS.againstAge },
    },
    {
      name: 'the same against savevm, in clear',
      value: `${ms(tookMs)} against ${ms(saveVm.tookMs)}, ${mib(saveVm.bytes)}: ratio ${toSaveVm.toFixed(2)}`,
      goal: { text: `at most ${String(GOALS.againstSaveVm)}`, met: toSaveVm <= GOALS.againstSaveVm },
    },
    {
      name: 'the same: it stood still, against savevm and migrate | age',
      value: `${ms(pauseMs)} (${listOf(ours.full)}) against ${ms(saveVm.pauseMs)} and ${ms(age.pauseMs)}`,
      ...(memoryMiB > 512 ? {} : { goal: { text: `under ${String(GOALS.pauseMs)} ms`, met: pauseMs < GOALS.pauseMs } }),
    },
    {
      name: `a second snapshot of it, idle for ${String(IDLE_MS / 1000)} s, against the first`,
      value: `${ms(next.tookMs)}, ${mib(next.bytes)}, stood still ${listOf(ours.next)}: ratios ${time.toFixed(2)} and ${size.toFixed(3)}`,
      goal: { text: `under ${String(GOALS.second)} in both`, met: time < GOALS.second && size < GOALS.second },
    },
    {
      name: 'putting it back, from the command to running, against qemu -loadvm and age -d | qemu -incoming',
      value: `${ms(ours.restoreMs)} against ${ms(saveVm.restoreMs)} and ${ms(age.restoreMs)}: ratios ${toLoad.toFixed(2)} and ${toAgeBack.toFixed(2)}`,
      goal: {
        text: `at most ${String(GOALS.loadVm)} and ${String(GOALS.ageBack)}`,
        met: toLoad <= GOALS.loadVm && toAgeBack <= GOALS.ageBack,
      },
    },
  ];
}

function medianOf(snapshots: readonly Snapshot[], field: 'tookMs' | 'pauseMs' | 'bytes'): number {
  return median(snapshots.map((snapshot) => snapshot[field]));
}

function listOf(snapshots: readonly Snapshot[]): string {
  return snapshots.map(({ pauseMs }) => ms(pauseMs)).join(', ');
}

function ms(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
