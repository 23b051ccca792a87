// The plain component that drills compare with: QEMU as its manual starts it, with a kernel, an initrd and a raw disk.
// SeaBIOS instead of OVMF, because nothing is measured here and it is up in three seconds under emulation.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '@ringwall/host/exec';
import { writeCpio } from '@ringwall/host/guestimage';

/** Under emulation on a busy machine a boot takes 5 to 15 s. */
const BOOT_TIMEOUT_MS = 120_000;
const MEMORY_MIB = 256;

export interface PlainVm {
  /** Holds the initrd that is made here. */
  readonly directory: string;
  readonly kernel: string;
  /** Runs as the guest's init after /proc, /sys and /dev are mounted; what it prints comes back. */
  readonly script: string;
  /** In place of the initrd that is made from `script`. */
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
  /** A raw disk, seen as /dev/nvme0n1: the cloud kernel has NVMe built in. */
  readonly disk?: string;
  /** More arguments for QEMU. */
  readonly extra?: readonly string[];
}

/** The initrd of a plain VM: busybox and one script. */
export function plainInitrd(script: string): Uint8Array {
  const init = [
    '#!/bin/busybox sh',
    '/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp',
    '/bin/busybox --install -s /bin',
    'export PATH=/bin',
    'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev',
    script,
    'sync; poweroff -f',
    '',
  ].join('\n');
  return writeCpio([
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: readFileSync('/bin/busybox') },
    { kind: 'file', path: 'init', mode: 0o755, content: Buffer.from(init) },
  ]);
}

/** Boots it to its power-off and returns what it printed on its serial console. */
export async function bootPlainVm(vm: PlainVm): Promise<string> {
  const initrd = join(vm.directory, 'plain-initrd');
  writeFileSync(initrd, vm.initrd ?? plainInitrd(vm.script));
  const disk = vm.disk === undefined ? [] : plainDisk(vm.disk);
  const result = await run(
    [
      '/usr/bin/qemu-system-x86_64',
      ...['-machine', 'q35', '-accel', 'tcg', '-cpu', 'max', '-m', String(MEMORY_MIB)],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
      ...['-kernel', vm.kernel, '-initrd', initrd],
      ...['-append', `console=ttyS0 quiet panic=-1 no_timer_check ${vm.commandLine ?? ''}`.trimEnd()],
      ...disk,
      ...(vm.extra ?? []),
    ],
    { timeoutMs: BOOT_TIMEOUT_MS },
  );
  return result.stdout.toString('latin1');
}

function plainDisk(path: string): string[] {
  const blockdev = JSON.stringify({ driver: 'raw', 'node-name': 'disk', file: { driver: 'file', filename: path } });
  return ['-blockdev', blockdev, '-device', 'nvme,drive=disk,serial=plain'];
}
