// `ringwall install`: writes systemd units for the services, enables and starts them.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { RingwallError } from '@ringwall/api/errors';
import { readBuild } from '../installation.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { prepareDirectories, stopServices } from '../services/control.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { runInForeground } from '../services/processes.ts';
import { prepareRuntime } from '../services/runtime.ts';
import type { Runtime } from '../services/table.ts';
import { renderUnits, TARGET, type Unit } from '../systemd-units.ts';

const SYSTEMCTL = '/usr/bin/systemctl';

export async function run(invocation: Invocation): Promise<void> {
  const { flags, out, json, paths, installation, self } = invocation;
  if (flags.has('dry-run')) {
    report(invocation, renderUnits(paths, expectedRuntime(invocation)), false);
    return;
  }
  if (!existsSync('/run/systemd/system') || !existsSync(SYSTEMCTL)) {
    throw new RingwallError('host-lacks', 'systemd does not run this host', {
      hint: `the services start by themselves when a command needs them, or in the foreground: ${self} up`,
    });
  }
  if (!isRoot()) goOnAsRoot(invocation, 'units are root’s to write');
  prepareDirectories({ paths, self });
  const units = renderUnits(paths, prepareRuntime(installation, paths));
  using progress = invocation.progress();
  await stopServices(paths, (text) => progress.step(text));
  progress.done();
  for (const { path, content } of units) writeFileSync(path, content, { mode: 0o644 });
  for (const words of [['daemon-reload'], ['enable', ...units.map(nameOf)], ['restart', TARGET]]) {
    if (runInForeground([SYSTEMCTL, ...words]) !== 0) {
      throw new RingwallError('internal', `systemctl ${words[0] ?? ''} failed`, {
        hint: 'see: journalctl -u ringwalld',
      });
    }
  }
  report(invocation, units, true);
  if (!json) out.line(`systemd runs the services now, and from boot on: systemctl status ${TARGET}`);
}

/** What prepareRuntime would choose, without touching anything. */
function expectedRuntime({ installation, paths }: Invocation): Runtime {
  const { id } = readBuild(installation);
  const { kind } = installation;
  const kept = existsSync(paths.runtime) && readdirSync(paths.runtime).includes(`node-${process.version}`);
  const node = kept ? `${paths.runtime}/node-${process.version}/node` : process.execPath;
  return { kind, id, node, directory: kind === 'sources' ? installation.directory : `${paths.runtime}/${id}` };
}

function report(invocation: Invocation, units: readonly Unit[], installed: boolean): void {
  if (invocation.json) {
    printJson(invocation, { installed, units });
    return;
  }
  if (installed) return;
  for (const { path, content } of units) invocation.out.line(`# ── ${path}\n${content}`);
}

function nameOf({ path }: Unit): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
