// `ringwall stop`: asks each guest to power down, then ends it. Disks stay.
import type { Invocation } from '../invocation.ts';
import { parseCount } from '../quantities.ts';
import { onEach } from './on-each.ts';

/** As the API's. */
const GRACE_LIMIT_SECONDS = 120;

export function run(invocation: Invocation): Promise<number> {
  const { self, values, flags } = invocation;
  const grace = values.get('grace');
  const body = {
    ...(grace === undefined ? {} : { graceMs: parseCount(grace, '--grace', GRACE_LIMIT_SECONDS) * 1000 }),
    ...(flags.has('force') ? { force: true } : {}),
  };
  return onEach(invocation, {
    request: (api, machine) => api.call('stopMachine', { params: { machine }, body }),
    done: () => ' is stopped. Its disk stays.',
    farewell: (machine) => `${machine} goes on stopping. See it: ${self} show ${machine}`,
  });
}
