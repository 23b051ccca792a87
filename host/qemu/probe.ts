// Decides by trying whether KVM works on this host: /dev/kvm can exist, open and make machines, and still never boot a
// stock kernel. A small guest, in a jail like any other, boots the very kernel that machines will boot, into a program
// of its own that writes a marker and ends. No firmware, no disk, no TPM: SeaBIOS is there in a tenth of a second.
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '../exec/index.ts';
import { endJail, readRunFile, startJail, type UidLeases } from '../jail/index.ts';
import { machineArguments, option, QEMU, sandboxArguments, VMM_PATHS, type Accelerator } from './argv.ts';
import { probeInitrd, PROBE_MARKER } from './probe-initrd.ts';
import { isRecord } from './qmp.ts';
import { vmmCgroupLimits, vmmProgramFiles } from './start.ts';

/** A kernel is there in a second where KVM works; where it does not, nothing comes in any time. */
const PROBE_TIMEOUT_MS = 8_000;
const PROBE_MEMORY_MIB = 192;
const PROBE_CONSOLE = 'probe.log';
const PROBE_LIMITS = { openFiles: 256, fileBytes: 1024 * 1024, tasks: 96 } as const;
/** Console output of a whole boot with all messages. */
const CONSOLE_BYTES = 256 * 1024;
const ROMS: readonly string[] = [
  '/usr/share/seabios/bios-256k.bin',
  '/usr/share/qemu/kvmvapic.bin',
  '/usr/share/qemu/linuxboot_dma.bin',
];

export interface ProbeResult {
  readonly accelerator: Accelerator;
  /** A sentence for people: what was tried, and what came of it. */
  readonly reason: string;
}

export interface ProbeOptions {
  /** The kernel that machines boot. */
  readonly kernel: string;
  /** The instance's run directory, passable: the result is kept there until the host boots again. */
  readonly runDir: string;
  readonly leases: UidLeases;
  readonly timeoutMs?: number;
  /** For tests: try a guest under this accelerator. */
  readonly accelerator?: Accelerator;
}

export async function probeAccelerator(options: ProbeOptions): Promise<ProbeResult> {
  const cache = join(options.runDir, 'accelerator.json');
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const kept = parseCache(await readFile(cache, 'utf8').catch(() => ''), bootId);
  if (kept !== undefined) return kept;
  const result = await decide(options);
  await writeFile(`${cache}.new`, JSON.stringify({ bootId, ...result }), { mode: 0o644 });
  await rename(`${cache}.new`, cache);
  return result;
}

async function decide(options: ProbeOptions): Promise<ProbeResult> {
  const there = await access('/dev/kvm').then(
    () => true,
    () => false,
  );
  if (!there) return { accelerator: 'tcg', reason: 'there is no /dev/kvm on this host' };
  try {
    const tried = await runProbe({ ...options, accelerator: 'kvm' });
    return { accelerator: tried.booted ? 'kvm' : 'tcg', reason: tried.reason };
  } catch (error) {
    return { accelerator: 'tcg', reason: `the probe guest could not be started: ${String(error)}` };
  }
}

/** Boots the probe guest once; `booted` says whether its own program spoke. */
export async function runProbe(options: ProbeOptions): Promise<{ booted: boolean; reason: string }> {
  const accelerator = options.accelerator ?? 'kvm';
  const timeoutMs = options.timeoutMs ?? PROBE_TIMEOUT_MS;
  const dir = join(options.runDir, 'probe');
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o711);
  const initrd = join(dir, 'initrd');
  await writeFile(initrd, probeInitrd(), { mode: 0o644 });
  const started = performance.now();
  const jail = await startJail({
    purpose: `probe ${accelerator}`,
    name: `probe-${process.pid}`,
    leases: options.leases,
    runDir: join(dir, 'run'),
    runDirBytes: 2 * CONSOLE_BYTES,
    cgroup: vmmCgroupLimits({ accelerator, cpus: 1, memoryMiB: PROBE_MEMORY_MIB }),
    limits: PROBE_LIMITS,
    profile: accelerator === 'kvm' ? 'vmm-kvm' : 'vmm-tcg',
    kvm: accelerator === 'kvm',
    readOnly: [
      ...(await vmmProgramFiles(accelerator, ROMS)),
      { source: options.kernel, target: VMM_PATHS.kernel },
      { source: initrd, target: VMM_PATHS.initrd },
    ],
    command: () => probeArgv(accelerator),
    failure: 'vmm-failed',
  });
  try {
    for (;;) {
      const alive = isAlive(jail.process);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const console_ = (await readRunFile(jail.runDir, PROBE_CONSOLE, CONSOLE_BYTES))?.toString('latin1') ?? '';
      if (console_.includes(PROBE_MARKER)) {
        return { booted: true, reason: `a probe guest came up under ${accelerator.toUpperCase()} in ${seconds} s` };
      }
      const said = console_.trim() === '' ? 'without a word' : 'before its first program';
      if (!alive) return { booted: false, reason: `a probe guest under ${accelerator.toUpperCase()} ended ${said}` };
      if (performance.now() - started > timeoutMs) {
        const silent = console_.trim() === '' ? 'said nothing' : 'did not come up';
        return { booted: false, reason: `a probe guest under ${accelerator.toUpperCase()} ${silent} in ${seconds} s` };
      }
      await sleep(20);
    }
  } finally {
    await endJail(jail, options.leases);
    await rm(dir, { recursive: true, force: true });
  }
}

/** Pure. */
export function probeArgv(accelerator: Accelerator): string[] {
  const console_ = { id: 'console', path: `/run/${PROBE_CONSOLE}` };
  const rows = [
    ['-name', option('', { guest: 'probe' })],
    ...machineArguments(accelerator),
    ['-m', `${PROBE_MEMORY_MIB}M`],
    ['-kernel', VMM_PATHS.kernel, '-initrd', VMM_PATHS.initrd],
    ['-append', 'console=ttyS0 earlyprintk=ttyS0 panic=-1 no_timer_check rdinit=/init'],
    ['-chardev', option('file', console_), '-serial', 'chardev:console'],
    ...sandboxArguments(),
  ];
  return [QEMU, ...rows.flat()];
}

function parseCache(text: string, bootId: string): ProbeResult | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || value['bootId'] !== bootId || typeof value['reason'] !== 'string') return undefined;
    const { accelerator, reason } = value;
    return accelerator === 'kvm' || accelerator === 'tcg' ? { accelerator, reason } : undefined;
  } catch {
    return undefined;
  }
}
