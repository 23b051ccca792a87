// Lists what is in the initrd: the guest's scripts, busybox, cryptsetup, veritysetup and mke2fs with the libraries that
// they need, and the kernel modules. Nothing of it is secret and nothing of it comes from this host's own installation.
import { readdir, readFile, realpath } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { guestCommands } from '@ringwall/tpm';
import type { CpioEntry } from './cpio.ts';
import { moduleDependencies, neededLibraries } from './elf.ts';
import { DRIVERS, loadOrder, moduleName, type ModuleSource } from './modules.ts';
import { reseedProgram } from './reseed-program.ts';
import { renderShellCommands } from './shell-commands.ts';

/**
 * The Debian packages whose files the initrd is made of. A library that is needed and in none of them is an error, so
 * that the list stays the whole truth about what is trusted.
 */
export const INITRD_PACKAGES: readonly string[] = [
  'busybox-static',
  'cryptsetup-bin',
  'e2fsprogs',
  'libargon2-1',
  'libblkid1',
  'libc6',
  'libcom-err2',
  'libcryptsetup12',
  'libdevmapper1.02.1',
  'libext2fs2',
  'libjson-c5',
  'libpcre2-8-0',
  'libpopt0',
  'libselinux1',
  'libssl3',
  'libudev1',
  'libuuid1',
];

export interface InitrdSources {
  /** INITRD_PACKAGES, unpacked. */
  readonly tree: string;
  /** The kernel's package, unpacked. */
  readonly kernelTree: string;
  readonly kernelVersion: string;
  /** apps/guest of this repository. */
  readonly guestDir: string;
}

const PROGRAMS = ['sbin/cryptsetup', 'sbin/veritysetup', 'sbin/mke2fs'] as const;
const LIBRARY_PATHS = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'] as const;
const LOADER = 'lib64/ld-linux-x86-64.so.2';
/** The applets that the scripts call by name; the shell itself knows busybox's others. */
const APPLETS = [
  ...[
    'sh',
    'cat',
    'chmod',
    'chroot',
    'cmp',
    'cp',
    'date',
    'dd',
    'env',
    'head',
    'insmod',
    'ls',
    'mkdir',
    'mount',
    'poweroff',
  ],
  ...['printf', 'rm', 'sed', 'sha256sum', 'sleep', 'switch_root', 'tail', 'timeout', 'tr', 'umount', 'unshare'],
  ...['usleep', 'wc', 'xxd'],
];
const MOUNT_POINTS = ['data', 'dev', 'proc', 'run', 'sys', 'system', 'watch', 'writable'];
const EXECUTABLE = 0o755;
const READABLE = 0o644;

export async function initrdEntries(sources: InitrdSources): Promise<CpioEntry[]> {
  return [
    ...(await scripts(sources.guestDir)),
    ...(await programs(sources.tree)),
    ...(await drivers(sources)),
    { kind: 'file', path: 'bin/reseed', mode: EXECUTABLE, content: reseedProgram() },
    ...MOUNT_POINTS.map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    ...APPLETS.map((applet): CpioEntry => ({ kind: 'link', path: `bin/${applet}`, target: 'busybox' })),
  ];
}

async function scripts(guestDir: string): Promise<CpioEntry[]> {
  const directory = join(guestDir, 'initrd');
  const parts = (await readdir(directory)).filter((name) => name.endsWith('.sh')).toSorted();
  const script = async (path: string, from: string, mode: number): Promise<CpioEntry> => ({
    kind: 'file',
    path,
    mode,
    content: await readFile(join(directory, from)),
  });
  return [
    await script('init', 'init', EXECUTABLE),
    ...(await Promise.all(parts.map((name) => script(`lib/ringwall/${name}`, name, READABLE)))),
    await script('lib/ringwall/ima-policy', 'ima-policy', READABLE),
    text('lib/ringwall/tpm-commands.sh', renderShellCommands(guestCommands)),
  ];
}

async function programs(tree: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [
    await copied(tree, 'bin/busybox', EXECUTABLE),
    await copied(tree, 'etc/mke2fs.conf', READABLE),
    {
      kind: 'file',
      path: LOADER,
      mode: EXECUTABLE,
      content: await readInside(tree, 'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'),
    },
  ];
  const libraries = new Map<string, Uint8Array>();
  const addLibraries = async (needed: readonly string[], by: string): Promise<void> => {
    for (const library of needed) {
      if (libraries.has(library) || library === basename(LOADER)) continue;
      const folder = LIBRARY_PATHS.find((path) => existsSync(join(tree, path, library)));
      if (folder === undefined) {
        throw new RingwallError('image-failed', `${by} needs ${library}, which none of the known packages has`, {
          hint: 'the initrd is made for the packages of Debian 12; see INITRD_PACKAGES in host/guestimage/initrd.ts',
        });
      }
      const content = await readInside(tree, join(folder, library));
      libraries.set(library, content);
      await addLibraries(neededLibraries(content), library);
    }
  };
  for (const program of PROGRAMS) {
    const entry = await copied(tree, program, EXECUTABLE);
    entries.push(entry);
    if (entry.kind === 'file') await addLibraries(neededLibraries(entry.content), program);
  }
  for (const [name, content] of libraries) {
    entries.push({ kind: 'file', path: `lib/x86_64-linux-gnu/${name}`, mode: READABLE, content });
  }
  return entries;
}

async function drivers({ kernelTree, kernelVersion }: InitrdSources): Promise<CpioEntry[]> {
  const root = join(kernelTree, 'lib/modules', kernelVersion, 'kernel');
  const files = await readdir(root, { recursive: true });
  const source: ModuleSource = {
    paths: new Map(files.filter((file) => file.endsWith('.ko')).map((file) => [moduleName(file), join(root, file)])),
    dependenciesOf: async (path) => moduleDependencies(await readFile(path)),
  };
  const entries: CpioEntry[] = [];
  const listed = new Set<string>();
  for (const [list, wanted] of Object.entries(DRIVERS)) {
    const paths = (await loadOrder(wanted, source)).filter((path) => !listed.has(path));
    entries.push(text(`lib/ringwall/drivers-${list}`, paths.map((path) => `${basename(path)}\n`).join('')));
    for (const path of paths) {
      listed.add(path);
      entries.push({
        kind: 'file',
        path: `lib/modules/${basename(path)}`,
        mode: READABLE,
        content: await readFile(path),
      });
    }
  }
  return entries;
}

async function copied(tree: string, path: string, mode: number): Promise<CpioEntry> {
  return { kind: 'file', path, mode, content: await readInside(tree, path) };
}

/** Follows the symbolic links of a package, but not out of its tree. */
async function readInside(tree: string, path: string): Promise<Uint8Array> {
  const real = await realpath(join(tree, path)).catch(() => undefined);
  if (real === undefined || relative(await realpath(tree), real).startsWith('..')) {
    throw new RingwallError('image-failed', `the packages hold no ${path}`, {
      hint: 'images are built from the packages of Debian 12',
    });
  }
  return readFile(real);
}

function text(path: string, content: string): CpioEntry {
  return { kind: 'file', path, mode: READABLE, content: utf8(content) };
}
