// Guests that do not do their part: the image's own kernel and initrd, with another first program in an archive behind
// (the kernel unpacks both, and the second one wins).
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCpio } from '@ringwall/host/guestimage';
import type { CommandResult, Instance } from '@ringwall/testkit';
import { phaseOf, until } from './waiting.ts';

const ALIGNMENT_BYTES = 512;

/** It is up, and never says a word to anybody. */
export const SILENT = 'while :; do sleep 3600; done';

/** Evidence in the right order that never comes to its end. */
export const ENDLESS = `
. /lib/ringwall/report.sh
. /lib/ringwall/checks.sh
. /lib/ringwall/devices.sh
load_drivers port
wait_for port_by_name "$PORT_NAME"
exec 4<>"$found"
printf 'hello 1\\n' >&4
read -r line <&4
printf '%s\\n' evidence 'ek-certificate 00' 'ak-public 00' 'boot-public 00' 'certify 00 00' 'quote 00 00' >&4
yes "event-log $(head -c 1000 /dev/zero | xxd -p -c 1000)" >&4
${SILENT}`;

/** Makes a machine that is not started. */
export async function makeMachine(ringwall: Instance, name: string): Promise<void> {
  await ringwall.api('POST', '/v1/machines', { image: 'hello', name, diskMiB: 64 });
  await until(async () => (await phaseOf(ringwall, name)) === 'stopped');
}

/**
 * Starts a machine with `script` as its first program; `ended` is what the command says in the end. Only this boot sees
 * the changed initrd: it is whole again once the VMM has read it.
 */
export async function startOddGuest(
  ringwall: Instance,
  name: string,
  script: string,
): Promise<{ readonly ended: Promise<CommandResult> }> {
  const path = join(ringwall.stateDir, 'images', 'hello', 'initrd');
  const whole = readFileSync(path);
  put(path, withInit(whole, script));
  try {
    const ended = ringwall.cli('start', name);
    await until(async () => (await phaseOf(ringwall, name)) === 'attesting');
    return { ended };
  } finally {
    put(path, whole);
  }
}

function withInit(initrd: Uint8Array, script: string): Uint8Array {
  const init = [
    '#!/bin/busybox sh',
    'export PATH=/bin:/sbin',
    '/bin/busybox mount -t proc proc /proc',
    'mount -t devtmpfs dev /dev',
    'mount -t sysfs sys /sys',
    'mount -t tmpfs run /run',
    'mkdir -p /run/ringwall/initrd',
    'exec </dev/console >/dev/console 2>&1',
    'echo an odd guest',
    script,
    '',
  ].join('\n');
  const archive = writeCpio([{ kind: 'file', path: 'init', mode: 0o755, content: Buffer.from(init) }]);
  const changed = new Uint8Array(Math.ceil(initrd.length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES + archive.length);
  changed.set(initrd);
  changed.set(archive, changed.length - archive.length);
  return changed;
}

/** Another file of the same name: who has the old one open keeps it. */
function put(path: string, content: Uint8Array): void {
  writeFileSync(`${path}.beside`, content);
  renameSync(`${path}.beside`, path);
}
