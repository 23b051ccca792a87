// A machine that was asked for: followed until it is attested and unlocked, and reported.
import type { Machine, Operation } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import type { ApiClient } from './api-client.ts';
import { exitCodeOf } from './exit-codes.ts';
import { explainMachine } from './explain-machine.ts';
import { printJson, type Invocation } from './invocation.ts';
import { followOperation, whileWatching } from './operations.ts';
import { renderOutdated } from './outdated-image.ts';
import { renderRunReport } from './report.ts';

export async function followNewMachine(
  invocation: Invocation,
  ask: (api: ApiClient) => Promise<{ readonly machine: Machine; readonly operation: Operation }>,
): Promise<number> {
  const { out, self, now, json } = invocation;
  await invocation.needServices();
  using progress = invocation.progress();
  const { machine, operation } = await invocation.withApi((api) => {
    progress.step('asking for the machine');
    return ask(api);
  });
  const name = machine.name;
  const farewell = `${name} goes on starting. See it: ${self} show ${name}   End it: ${self} rm --force ${name}`;
  try {
    await whileWatching(invocation, farewell, () => followOperation(invocation, operation, progress));
  } catch (error) {
    progress.fail();
    throw await explainMachine(invocation, name, error, `remove it: ${self} rm --force ${name}`);
  }
  const detail = await invocation.withApi((api) => api.call('showMachine', { params: { machine: machine.id } }));
  if (json) {
    printJson(invocation, detail);
  } else {
    const { images } = await invocation.withApi((api) => api.call('listImages'));
    const image = images.find(({ name: each }) => each === detail.machine.spec.image);
    const report = renderRunReport(detail, { terminal: out, self, nowMs: now() });
    for (const line of [...report, ...renderOutdated(image, out, self)]) out.line(line);
  }
  const refused = !GOOD.has(detail.machine.status.trust);
  return refused ? exitCodeOf(new RingwallError('attestation-refused', '')) : 0;
}

/** A boot that was learned is what was asked for. */
const GOOD: ReadonlySet<string> = new Set(['attested', 'learning']);
