// A small system as somebody would bring it from elsewhere: Debian's kernel and systemd-boot, by mmdebstrap, on a disk with
// GPT and an ESP, made without root's devices. Its userland is a busybox in an initrd, which says its command line and then
// is a shell on the console, with its disk at /dev/vda.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { writeCpio, type CpioEntry } from '@ringwall/host/guestimage';

const SUITE = 'bookworm';
const PACKAGES = ['linux-image-cloud-amd64', 'systemd-boot-efi', 'busybox-static'];
const BOOT_LOADER = './usr/lib/systemd/boot/efi/systemd-bootx64.efi';
const BUSYBOX = './bin/busybox';
/** In the order in which they are loaded: what the kernel lacks to see its disk. */
const MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk'];

const ESP_MIB = 32;
const DISK_MIB = 48;
/** Where partitioning tools put the first partition. */
const ESP_OFFSET_MIB = 1;
const ESP_SECTOR = ESP_OFFSET_MIB * 2048;

const PROGRAMS = ['mmdebstrap', 'sgdisk', 'mformat', 'mcopy', 'qemu-img'];
const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Ends a test's title where it skips. */
export const CLOUD_IMAGE_LACKS: string = PROGRAMS.filter(
  (program) => !FOLDERS.some((folder) => existsSync(join(folder, program))),
)
  .map((program) => ` (skipped: needs ${program})`)
  .join('');

/** Packages are fetched once; another list of them is another folder. */
const CACHE = resolve(
  import.meta.dirname,
  '../.ringwall/cloud-image',
  createHash('sha256')
    .update([SUITE, ...PACKAGES, ...MODULES].join())
    .digest('hex')
    .slice(0, 16),
);

const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
for module in ${MODULES.join(' ')}; do insmod /$module.ko; done
echo "cloud: up with $(cat /proc/cmdline)" >/dev/console
while true; do setsid -c sh </dev/ttyS0 >/dev/ttyS0 2>&1; done
`;

export interface CloudImage {
  /** A QCOW2 image. */
  readonly path: string;
  /** Where on its disk the command line lies. */
  readonly commandLineOffset: number;
}

export function makeCloudImage(directory: string, commandLine: string): CloudImage {
  const parts = fetchParts();
  const [esp, disk, image] = ['esp.img', 'disk.img', 'cloud.qcow2'].map((name) => join(directory, name));
  if (esp === undefined || disk === undefined || image === undefined) throw new Error('three names are three');
  const entry = join(directory, 'entry.conf');
  writeFileSync(entry, bootEntry(commandLine));
  const settings = join(directory, 'loader.conf');
  writeFileSync(settings, 'timeout 0\n');
  must('truncate', '-s', `${String(ESP_MIB)}M`, esp);
  must('mformat', '-i', esp, '::');
  must('mmd', '-i', esp, '::/EFI', '::/EFI/BOOT', '::/loader', '::/loader/entries');
  for (const [from, to] of [
    [join(parts, 'boot-loader'), '/EFI/BOOT/BOOTX64.EFI'],
    [join(parts, 'kernel'), '/vmlinuz'],
    [makeInitrd(directory, parts), '/initrd'],
    [settings, '/loader/loader.conf'],
    [entry, ENTRY],
  ] as const) {
    must('mcopy', '-i', esp, from, `::${to}`);
  }
  must('truncate', '-s', `${String(DISK_MIB)}M`, disk);
  must('sgdisk', '-n', `1:${String(ESP_SECTOR)}:+${String(ESP_MIB)}M`, '-t', '1:ef00', disk);
  must(
    'dd',
    `if=${esp}`,
    `of=${disk}`,
    'bs=1M',
    `seek=${String(ESP_OFFSET_MIB)}`,
    'conv=notrunc,sparse',
    'status=none',
  );
  must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', disk, image);
  return { path: image, commandLineOffset: readFileSync(disk).indexOf(`options ${commandLine}`) + 'options '.length };
}

const ENTRY = '/loader/entries/cloud.conf';

function bootEntry(commandLine: string): string {
  return `title cloud\nlinux /vmlinuz\ninitrd /initrd\noptions ${commandLine}\n`;
}

function makeInitrd(directory: string, parts: string): string {
  const initrd = join(directory, 'initrd');
  const executable = { kind: 'file', mode: 0o755 } as const;
  const entries: CpioEntry[] = [
    { ...executable, path: 'init', content: utf8(INIT) },
    { ...executable, path: 'bin/busybox', content: readFileSync(join(parts, 'busybox')) },
    ...MODULES.map((name): CpioEntry => {
      return { ...executable, path: `${name}.ko`, content: readFileSync(join(parts, `${name}.ko`)) };
    }),
    { kind: 'directory', path: 'dev', mode: 0o755 },
    { kind: 'directory', path: 'proc', mode: 0o755 },
  ];
  writeFileSync(initrd, writeCpio(entries));
  return initrd;
}

/** Kernel, boot loader and busybox, as Debian's packages have them. */
function fetchParts(): string {
  if (existsSync(CACHE)) return CACHE;
  const work = `${CACHE}.${String(process.pid)}`;
  mkdirSync(work, { recursive: true });
  try {
    const archive = join(work, 'root.tar');
    must('mmdebstrap', '--mode=root', '--variant=extract', `--include=${PACKAGES.join()}`, SUITE, archive);
    const modules = MODULES.map((name) => `./lib/modules/*/${name}.ko`);
    must('tar', '-C', work, '-xf', archive, '--wildcards', './boot/vmlinuz-*', BOOT_LOADER, BUSYBOX, ...modules);
    const [kernel = 'none'] = readdirSync(join(work, 'boot'));
    const whole = join(work, 'parts');
    mkdirSync(whole);
    renameSync(join(work, 'boot', kernel), join(whole, 'kernel'));
    renameSync(join(work, BOOT_LOADER), join(whole, 'boot-loader'));
    renameSync(join(work, BUSYBOX), join(whole, 'busybox'));
    must('find', join(work, 'lib'), '-name', '*.ko', '-exec', 'mv', '-t', whole, '{}', '+');
    renameSync(whole, CACHE);
    return CACHE;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function must(program: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${basename(program)} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
