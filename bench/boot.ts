// What proof costs: from `ringwall start` to "attested and unlocked", against the same QEMU, firmware, vTPM, kernel and
// initrd started bare, to the same point of the same init with the attestation cut out and the disk key given by the host.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { commandLine, parseManifest, writeCpio } from '@ringwall/host/guestimage';
import { Instance } from '@ringwall/testkit';
import { pairs, type Figure } from './measure.ts';

const RUNS = 5;
const GOAL_RATIO = 1.15;
const NAME = 'bench';
const MEMORY_MIB = 512;
const CPUS = 1;
const DISK_MIB = 64;
const BOOT_TIMEOUT_MS = 180_000;
const UNLOCKED = 'ringwall: unlocked';
const OVMF = '/usr/share/OVMF';
const INIT = resolve(import.meta.dirname, '../apps/guest/initrd/init');

export async function benchBoot(): Promise<Figure[]> {
  await using ringwall = await Instance.start();
  const directory = mkdtempSync('/var/tmp/ringwall-bench-');
  try {
    const size = ['--cpus', String(CPUS), '--memory', `${MEMORY_MIB}M`, '--disk', `${DISK_MIB}M`];
    await ringwall.ok('run', 'hello', '--name', NAME, ...size);
    await ringwall.ok('stop', NAME);
    const bare = prepareBare(directory, join(ringwall.stateDir, 'images', 'hello'));
    await bootBare(directory, bare); // formats its disk
    const ours = async (): Promise<number> => {
      const startedAt = performance.now();
      await ringwall.ok('start', NAME);
      const took = performance.now() - startedAt;
      await ringwall.ok('stop', NAME);
      return took;
    };
    const result = await pairs(RUNS, ours, () => bootBare(directory, bare));
    const ratios = result.ratios.map((ratio) => ratio.toFixed(2)).join(', ');
    return [
      {
        name: 'boot to attested and unlocked against bare boot to unlocked',
        value: `${(result.a / 1000).toFixed(1)} s against ${(result.b / 1000).toFixed(1)} s: ratio ${result.ratio.toFixed(2)} (${ratios})`,
        goal: { text: `at most ${GOAL_RATIO}`, met: result.ratio <= GOAL_RATIO },
      },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Bare {
  readonly kernel: string;
  readonly initrd: string;
  readonly system: string;
  readonly disk: string;
  readonly commandLine: string;
}

function prepareBare(directory: string, image: string): Bare {
  const manifest = parseManifest(readFileSync(join(image, 'manifest.json'), 'utf8'));
  const initrd = join(directory, 'initrd');
  const original = readFileSync(join(image, 'initrd'));
  const extra = writeCpio([{ kind: 'file', path: 'bare', mode: 0o755, content: Buffer.from(bareInit()) }]);
  const padding = new Uint8Array((512 - (original.length % 512)) % 512);
  writeFileSync(initrd, Buffer.concat([original, padding, extra]));
  const disk = join(directory, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, DISK_MIB * 1024 * 1024);
  const line = commandLine({
    image: manifest.name,
    verityRootHash: manifest.verityRootHash,
    hashOffset: manifest.hashOffset,
    brokerKey: 'ab'.repeat(64),
  });
  return {
    kernel: join(image, 'kernel'),
    initrd,
    system: join(image, 'system.img'),
    disk,
    commandLine: `${line} rdinit=/bare`,
  };
}

/** The guest's own init, with measuring and attestation cut out. Throws where the init no longer has these lines. */
function bareInit(): string {
  const cut = (text: string, from: string, to: string, instead: string): string => {
    const [start, end] = [text.indexOf(from), text.indexOf(to)];
    if (start < 0 || end < start) throw new Error(`the init has no ${JSON.stringify(start < 0 ? from : to)}`);
    return text.slice(0, start) + instead + text.slice(end);
  };
  const whole = readFileSync(INIT, 'utf8');
  const unmeasured = cut(whole, "step='measure what runs'", "step='read the command line'", 'load_all_drivers &\n');
  const unproven = cut(
    unmeasured,
    "step='prove what has booted'",
    "step='unlock the disk'",
    'wait "$inspected"\nwait "$opened"\nwait_for_drivers button\n',
  );
  return cut(
    unproven,
    'unlock_disk "$release_mode"',
    "step='start the watcher'",
    `unlock_disk format ${'cd'.repeat(32)}\nmark unlocked\npoweroff -f\n`,
  );
}

/** From exec to the marker on the serial console, in milliseconds. */
function bootBare(directory: string, bare: Bare): Promise<number> {
  const tpmDir = mkdtempSync(join(directory, 'tpm-'));
  const variables = join(directory, 'vars.fd');
  copyFileSync(join(OVMF, 'OVMF_VARS.fd'), variables);
  const startedAt = performance.now();
  const control = join(tpmDir, 'ctrl');
  const tpm = spawn('/usr/bin/swtpm', [
    ...['socket', '--tpm2', '--tpmstate', `dir=${tpmDir}`, '--ctrl', `type=unixio,path=${control}`, '--terminate'],
  ]);
  const vm = spawn('/bin/sh', [
    '-c',
    `while [ ! -S ${control} ]; do :; done; exec "$@"`,
    'sh',
    '/usr/bin/qemu-system-x86_64',
    ...[
      '-machine',
      'q35,smm=off,hpet=off',
      '-accel',
      'tcg',
      '-cpu',
      'max',
      '-smp',
      String(CPUS),
      '-m',
      String(MEMORY_MIB),
    ],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio'],
    ...['-drive', `if=pflash,format=raw,unit=0,readonly=on,file=${join(OVMF, 'OVMF_CODE.fd')}`],
    ...['-drive', `if=pflash,format=raw,unit=1,file=${variables}`],
    ...[
      '-chardev',
      `socket,id=tpm,path=${control}`,
      '-tpmdev',
      'emulator,id=tpm0,chardev=tpm',
      '-device',
      'tpm-crb,tpmdev=tpm0',
    ],
    ...['-device', 'virtio-rng-pci'],
    ...[
      '-drive',
      `if=none,id=system,format=raw,readonly=on,file=${bare.system}`,
      '-device',
      'virtio-blk-pci,drive=system,serial=system',
    ],
    ...['-drive', `if=none,id=data,format=raw,file=${bare.disk}`, '-device', 'virtio-blk-pci,drive=data,serial=data'],
    ...['-kernel', bare.kernel, '-initrd', bare.initrd, '-append', bare.commandLine],
  ]);
  return new Promise((done, fail) => {
    let printed = '';
    let took: number | undefined;
    const timer = setTimeout(() => vm.kill('SIGKILL'), BOOT_TIMEOUT_MS);
    vm.stderr.on('data', (text: Buffer) => (printed += text.toString()));
    vm.stdout.on('data', (text: Buffer) => {
      printed += text.toString('latin1');
      if (took === undefined && printed.includes(UNLOCKED)) {
        took = performance.now() - startedAt;
        vm.kill('SIGTERM');
      }
    });
    vm.once('close', () => {
      clearTimeout(timer);
      tpm.kill('SIGTERM');
      if (took === undefined) fail(new Error(`the bare machine did not unlock its disk:\n${printed.slice(-2000)}`));
      else done(took);
    });
  });
}
