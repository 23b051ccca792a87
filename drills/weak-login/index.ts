// Drill: an image sets a usual password. Its own login program lets in whoever tries the first few.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run, runChecked } from '@ringwall/host/exec';
import type { Attempt, Drill } from '../drill.ts';
import { passScan, writeImage, type PlainImage } from '../plain/oci-image.ts';

/** What everybody tries first, the image's own somewhere among it. */
const GUESSES: readonly string[] = ['root', 'password', 'admin', '123456', 'toor', 'changeme', 'vagrant', 'docker'];
const SET = 'docker';
const ATTACKER = 65_534;

/** `su` of the image runs with the rights that its file has, which bubblewrap would take away: plain namespaces, then. */
const CONTAINER = `
set -e
root=$1; guess=$2
mount --bind "$root" "$root"
mkdir -p "$root/usr" "$root/proc" "$root/dev"
mount --bind /usr "$root/usr"; mount -o remount,bind,ro "$root/usr"
mount -t proc proc "$root/proc"
for name in bin sbin lib lib64; do [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"; done
mount -t tmpfs tmpfs "$root/dev"; mknod -m 666 "$root/dev/null" c 1 3
printf '%s\\n' "$guess" | chroot "$root" /usr/bin/setpriv --reuid=${String(ATTACKER)} --regid=${String(ATTACKER)} --clear-groups /usr/bin/su -c 'id -u' root
`;

export const weakLogin: Drill = {
  name: 'weak-login',
  title: 'A usual password of the image lets somebody in',
  adversaries: ['A1', 'A7'],
  story:
    'An image sets a password for root, so that its author could log in once. Somebody who reaches any process of the container tries the ten passwords that everybody tries first, and is root.',
  needsVictim: 'no',
  mustBeTrue: 'The attacker runs some process in the container, without rights.',
  stoppedBy:
    'Before it runs, each hash of the image is tried with the system’s own libcrypt: the scan names the account.',

  async without({ directory, step }) {
    const image = await buildImage(directory);
    step('a process without rights tries usual passwords at su');
    return [await tryLogin(image)];
  },

  async with({ directory, ringwall, step }) {
    const image = await buildImage(join(directory, 'with'));
    step('the image is scanned before it runs');
    return [await passScan(ringwall, image, { rule: 'usual-password', layer: 1, names: '“root”' })];
  },
};

async function tryLogin({ root }: PlainImage): Promise<Attempt> {
  const what = 'become root with a usual password';
  for (const [tries, guess] of GUESSES.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one guess after the other, as an attacker would
    const { stdout } = await run(
      ['/usr/bin/unshare', '--mount', '--pid', '--fork', '--kill-child', '/bin/sh', '-c', CONTAINER, 'sh', root, guess],
      { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } },
    );
    if (stdout.toString('utf8').trim() === '0')
      return { what, succeeded: true, seen: `uid 0, with guess ${String(tries + 1)}` };
  }
  return { what, succeeded: false, seen: `${String(GUESSES.length)} passwords did not fit` };
}

async function buildImage(directory: string): Promise<PlainImage> {
  mkdirSync(directory, { recursive: true });
  const crypt = 'chomp(my $password = <STDIN>); print crypt($password, q($6$aG7hWq2LmZ1xTb9c))';
  const { stdout } = await runChecked(run, ['/usr/bin/perl', '-e', crypt], { input: `${SET}\n` });
  return writeImage(directory, [
    {
      createdBy: 'ADD rootfs.tar /',
      files: {
        'etc/passwd': 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n',
        'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
        'etc/shadow': 'root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n',
        // As short as a login can be: no delay after a wrong guess, so that the drill is over soon.
        'etc/pam.d/su':
          'auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n',
      },
    },
    {
      createdBy: 'COPY shadow /etc/shadow # buildkit',
      files: {
        'etc/shadow': `root:${stdout.toString('utf8')}:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n`,
      },
    },
  ]);
}
