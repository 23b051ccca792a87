// `ringwall setup`: the launcher does it before the command line exists; here it is only called again.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { runInForeground } from '../services/processes.ts';

export function run(invocation: Invocation): Promise<number> {
  const { installation, environment } = invocation;
  const checkout = installation.kind === 'sources' ? installation.directory : resolve(installation.directory, '..');
  const script = resolve(checkout, 'tools/setup/setup.sh');
  if (!existsSync(script)) {
    throw new RingwallError('host-lacks', 'this installation brings no set-up', { hint: 'run it from a checkout' });
  }
  const kept = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const code = runInForeground(['/bin/sh', script, 'host'], { ...Object.fromEntries(kept), RINGWALL_SETUP_ASKED: '1' });
  if (invocation.json) printJson(invocation, { ready: code === 0 });
  return Promise.resolve(code);
}
