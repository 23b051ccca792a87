// A small system as somebody would bring it from elsewhere: Debian's kernel and systemd-boot or GRUB, by mmdebstrap, on a disk
// with GPT and an ESP, made without root's devices. Its userland is a busybox in an initrd, which says its command line and then
// is a shell on the console, with its disk at /dev/vda.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { writeCpio, type CpioEntry } from '@ringwall/host/guestimage';

const SUITE = 'bookworm';
const PACKAGES = ['linux-image-cloud-amd64', 'systemd-boot-efi', 'grub-efi-amd64-bin', 'busybox-static'];
const BUSYBOX = './bin/busybox';
/** In the order in which they are loaded: what the kernel lacks to see its disk. */
const MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk'];

export type BootLoader = 'systemd-boot' | 'grub';

/** GRUB as Debian signs it for Secure Boot, without the signature: all its modules are in it, that for TPMs, too. */
const BOOT_LOADERS: Readonly<Record<BootLoader, string>> = {
  'systemd-boot': './usr/lib/systemd/boot/efi/systemd-bootx64.efi',
  grub: './usr/lib/grub/x86_64-efi/monolithic/grubx64.efi',
};

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

/** `directory` is its own. */
export function makeCloudImage(
  directory: string,
  commandLine: string,
  bootLoader: BootLoader = 'systemd-boot',
): CloudImage {
  const parts = fetchParts();
  const [esp, disk, image] = ['esp.img', 'disk.img', 'cloud.qcow2'].map((name) => join(directory, name));
  if (esp === undefined || disk === undefined || image === undefined) throw new Error('three names are three');
  must('truncate', '-s', `${String(ESP_MIB)}M`, esp);
  must('mformat', '-i', esp, '::');
  must('mmd', '-i', esp, '::/EFI', '::/EFI/BOOT', '::/EFI/debian', '::/loader', '::/loader/entries');
  for (const [from, to] of [
    [join(parts, bootLoader), '/EFI/BOOT/BOOTX64.EFI'],
    [join(parts, 'kernel'), '/vmlinuz'],
    [makeInitrd(directory, parts), '/initrd'],
  ] as const) {
    must('mcopy', '-i', esp, from, `::${to}`);
  }
  const written = join(directory, 'settings');
  for (const [to, text] of SETTINGS[bootLoader](commandLine)) {
    writeFileSync(written, text);
    must('mcopy', '-i', esp, written, `::${to}`);
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
  const before = bootLoader === 'grub' ? 'linux /vmlinuz ' : 'options ';
  return { path: image, commandLineOffset: readFileSync(disk).indexOf(`${before}${commandLine}`) + before.length };
}

/** Paths on the ESP, and what is written there. */
const SETTINGS: Readonly<
  Record<BootLoader, (commandLine: string) => readonly (readonly [path: string, text: string])[]>
> = {
  'systemd-boot': (commandLine) => [
    ['/loader/loader.conf', 'timeout 0\n'],
    ['/loader/entries/cloud.conf', `title cloud\nlinux /vmlinuz\ninitrd /initrd\noptions ${commandLine}\n`],
  ],
  // As update-grub has it in short: found by its own disk, no menu.
  grub: (commandLine) => [
    [
      '/EFI/debian/grub.cfg',
      [
        'search --no-floppy --file --set=root /vmlinuz',
        'set timeout=0',
        'menuentry cloud {',
        `  linux /vmlinuz ${commandLine}`,
        '  initrd /initrd',
        '}',
        '',
      ].join('\n'),
    ],
  ],
};

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

/** Kernel, boot loaders and busybox, as Debian's packages have them. */
function fetchParts(): string {
  if (existsSync(CACHE)) return CACHE;
  const work = `${CACHE}.${String(process.pid)}`;
  mkdirSync(work, { recursive: true });
  try {
    const archive = join(work, 'root.tar');
    must('mmdebstrap', '--mode=root', '--variant=extract', `--include=${PACKAGES.join()}`, SUITE, archive);
    const modules = MODULES.map((name) => `./lib/modules/*/${name}.ko`);
    const loaders = Object.values(BOOT_LOADERS);
    must('tar', '-C', work, '-xf', archive, '--wildcards', './boot/vmlinuz-*', ...loaders, BUSYBOX, ...modules);
    const [kernel = 'none'] = readdirSync(join(work, 'boot'));
    const whole = join(work, 'parts');
    mkdirSync(whole);
    renameSync(join(work, 'boot', kernel), join(whole, 'kernel'));
    for (const [name, path] of Object.entries(BOOT_LOADERS)) renameSync(join(work, path), join(whole, name));
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
