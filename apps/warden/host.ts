// Joins the warden to what host/sys and the probe guest say of this host.
import { hash } from 'node:crypto';
import { readFile, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '@ringwall/control/files';
import { imageDir, type HostPart, type Layout } from '@ringwall/control/warden';
import { isAlive, killProcess, run, runChecked, waitForExit } from '@ringwall/host/exec';
import { FIRMWARE_CODE, KNOWN_IMAGES } from '@ringwall/host/guestimage';
import type { UidLeases } from '@ringwall/host/jail';
import { probeAccelerator, QEMU, type ProbeResult } from '@ringwall/host/qemu';
import { hostFindings, readCapacity, realHost } from '@ringwall/host/sys';

/** With less than this no machine can be made or started: some records, a TPM's state and its next version. */
const FULL_BYTES = 1024 * 1024;
const FULL_FILES = 8;

export async function makeHostPart(layout: Layout, leases: UidLeases): Promise<HostPart> {
  const host = realHost(run);
  const probe = onceAtATime(() => runProbe(layout, leases));
  return {
    bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    accelerator: async () => (await probe())?.accelerator ?? 'tcg',
    findings: async () => await hostFindings({ host, probe: await probe(), stateDir: layout.state }),
    capacity: async () => await readCapacity(host, layout.machines),
    platform: async () => await readPlatform(),
    isFull: () => isFull(layout.machines),
    isAlive,
    kill: (process) => killProcess(process),
    waitForExit,
  };
}

async function readPlatform(): Promise<{ qemu: string; firmware: string; cpu: string }> {
  const [qemu, firmware, cpus] = await Promise.all([
    readQemuVersion(),
    readFirmwareDigest(),
    readFile('/proc/cpuinfo', 'utf8'),
  ]);
  const lineOf = (name: string): string => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpus)?.[1] ?? '';
  const features = hash('sha256', lineOf('flags').split(' ').toSorted().join(' '), 'hex').slice(0, 16);
  return { qemu, firmware, cpu: `${lineOf('model name')} (features ${features})` };
}

/** Of the file that was hashed last: firmware is exchanged under a host that runs. */
let lastFirmware: { readonly file: string; readonly digest: string } | undefined;

async function readFirmwareDigest(): Promise<string> {
  const { dev, ino, size, ctimeMs } = await stat(FIRMWARE_CODE);
  const file = [dev, ino, size, ctimeMs].join(' ');
  if (lastFirmware?.file === file) return lastFirmware.digest;
  const digest = hash('sha256', await readFile(FIRMWARE_CODE), 'hex');
  lastFirmware = { file, digest };
  return digest;
}

/** What the program said last, and when it was put there: to start it only to be told its version takes a tenth of a second. */
let lastQemu: { readonly changedMs: number; readonly version: string } | undefined;

async function readQemuVersion(): Promise<string> {
  const { ctimeMs: changedMs } = await stat(QEMU);
  if (lastQemu?.changedMs === changedMs) return lastQemu.version;
  const { stdout } = await runChecked(run, [QEMU, '--version']);
  // Its machine types go by the first two numbers; the third is repairs.
  const version = /version (\d+\.\d+)/.exec(stdout.toString('utf8'))?.[1] ?? 'unknown';
  lastQemu = { changedMs, version };
  return version;
}

/** A TPM or a VMM that finds no room says only that it failed. */
async function isFull(path: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  return bavail * bsize < FULL_BYTES || (files > 0 && ffree < FULL_FILES);
}

/** Undefined before the first image is built: there is no kernel to try. */
async function runProbe(layout: Layout, leases: UidLeases): Promise<ProbeResult | undefined> {
  for (const { name } of KNOWN_IMAGES) {
    const kernel = join(imageDir(layout, name), 'kernel');
    if (await isThere(kernel)) return await probeAccelerator({ kernel, runDir: layout.probe, leases });
  }
  return undefined;
}

/** Whoever asks while the answer is being found waits for the same one. */
function onceAtATime<T>(find: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= find().finally(() => {
      running = undefined;
    });
    return running;
  };
}
