// `ringwall down`: ends the services. Machines go on, and are adopted when the services come back.
import { existsSync } from 'node:fs';
import { ApiClient } from '../api-client.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { missingServices, stopServices, type StoppedService } from '../services/control.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { runInForeground, succeeds } from '../services/processes.ts';
import { SERVICES } from '../services/table.ts';
import { TARGET } from '../systemd-units.ts';

export async function run(invocation: Invocation): Promise<number> {
  const { out, err, json, paths, self } = invocation;
  const allDown = (await missingServices(paths)).length === SERVICES.length;
  if (!isRoot() && !(allDown && !existsSync(paths.records))) goOnAsRoot(invocation, 'ending the services needs root');
  const running = await runningMachines(invocation);
  using progress = invocation.progress();
  stopUnits(invocation);
  const services = await stopServices(paths, (text) => progress.step(text));
  progress.done();
  const foreign = services.filter(({ outcome }) => outcome === 'not ours');
  if (json) {
    printJson(invocation, { services, ...(running === undefined ? {} : { machinesRunning: running }) });
  } else {
    out.line(summary(services));
    if (running !== undefined && running > 0) {
      const go = running === 1 ? '1 machine goes on' : `${String(running)} machines go on`;
      out.line(`${go}, and will be adopted when the services come back (any command brings them: ${self} ls).`);
    }
    for (const { name } of foreign) {
      err.line(`${err.bang} ${name} answers, but was not started by this command: end it where it was started.`);
    }
  }
  return foreign.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.failed.code;
}

function summary(services: readonly StoppedService[]): string {
  const ended = services.filter(({ outcome }) => outcome === 'ended' || outcome === 'killed');
  if (ended.length === 0) return 'No service of this command runs.';
  const killed = ended.filter(({ outcome }) => outcome === 'killed').map(({ name }) => name);
  const names = ended.map(({ name }) => name).join(', ');
  return killed.length === 0 ? `Stopped: ${names}.` : `Stopped: ${names} (${killed.join(', ')} had to be killed).`;
}

/** Those of systemd would be started again at once. */
function stopUnits({ paths, err, json }: Invocation): void {
  const systemctl = '/usr/bin/systemctl';
  const ours = paths.state === '/var/lib/ringwall' && existsSync(`/etc/systemd/system/${TARGET}`);
  if (!ours || !existsSync('/run/systemd/system') || !succeeds([systemctl, 'is-active', '--quiet', TARGET])) return;
  if (!json) err.line(`They are systemd's: systemctl stop ${TARGET}`);
  runInForeground([systemctl, 'stop', TARGET]);
}

/** Undefined where the daemon does not answer: then nobody knows, and nothing is started to find out. */
async function runningMachines({ paths }: Invocation): Promise<number | undefined> {
  try {
    const { machines } = await new ApiClient(paths.apiSocket).call('listMachines');
    return machines.filter(({ status }) => status.phase !== 'stopped' && status.phase !== 'failed').length;
  } catch {
    return undefined;
  }
}
