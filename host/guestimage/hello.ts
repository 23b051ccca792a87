// The system of the `hello` image: busybox, a start script that shows what was proven, and a shell on the console.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import type { Run } from '../exec/index.ts';
import type { CpioEntry } from './cpio.ts';

/** Where the initrd mounts things, and where programs expect to write. */
const MOUNT_POINTS = ['data', 'dev', 'proc', 'run', 'sys', 'tmp'];
const EXECUTABLE = 0o755;
const READABLE = 0o644;

/** `tree` holds busybox-static, unpacked; `guestDir` is apps/guest. */
export async function helloEntries(run: Run, tree: string, guestDir: string): Promise<CpioEntry[]> {
  const busybox = join(tree, 'bin/busybox');
  const script = async (path: string, from: string, mode: number): Promise<CpioEntry> => ({
    kind: 'file',
    path,
    mode,
    content: await readFile(join(guestDir, from)),
  });
  return [
    ...MOUNT_POINTS.map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    { kind: 'directory', path: 'root', mode: 0o700 },
    { kind: 'file', path: 'bin/busybox', mode: EXECUTABLE, content: await readFile(busybox) },
    ...(await appletsOf(run, busybox)).map((name): CpioEntry => ({
      kind: 'link',
      path: `bin/${name}`,
      target: 'busybox',
    })),
    { kind: 'link', path: 'sbin', target: 'bin' },
    { kind: 'file', path: 'etc/passwd', mode: READABLE, content: utf8('root:*:0:0:root:/root:/bin/sh\n') },
    { kind: 'file', path: 'etc/group', mode: READABLE, content: utf8('root:x:0:\ntty:x:5:\n') },
    await script('etc/inittab', 'hello/inittab', READABLE),
    await script('etc/profile', 'hello/profile', READABLE),
    await script('lib/ringwall/start', 'hello/start', EXECUTABLE),
    { kind: 'link', path: 'etc/resolv.conf', target: '/run/resolv.conf' },
    await script('lib/ringwall/network', 'hello/network', EXECUTABLE),
    await script('lib/ringwall/network6', 'hello/network6', EXECUTABLE),
    await script('lib/ringwall/lease', 'hello/lease', EXECUTABLE),
    await script('lib/ringwall/stop', 'hello/stop', EXECUTABLE),
    await script('lib/ringwall/show-machine', 'common/show-machine', EXECUTABLE),
    await script('lib/ringwall/power-button', 'common/power-button', EXECUTABLE),
  ];
}

async function appletsOf(run: Run, busybox: string): Promise<string[]> {
  const result = await run([busybox, '--list']);
  const applets = result.stdout
    .toString('utf8')
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox');
  if (result.code !== 0 || !applets.includes('init'))
    throw new RingwallError('image-failed', 'busybox lists no applets');
  return applets;
}
