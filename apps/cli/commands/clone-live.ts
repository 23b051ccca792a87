// `ringwall clone --live`: machines that go on from the memory of a snapshot, as a template has it. They are asked for one after the other,
// so that their names follow, and come up beside each other.
import type { Machine, MachineDetail, Operation } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import type { CloneMachine } from '@ringwall/api/snapshots';
import { exitCodeOf } from '../exit-codes.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { followOperation, whileWatching } from '../operations.ts';
import { parseCount } from '../quantities.ts';
import { plainText } from '../terminal.ts';
import { printTrouble } from '../trouble.ts';

/** One command holds that many operations; more is a slip of the finger. */
const MOST_CLONES = 100;

export async function cloneLive(invocation: Invocation, machine: string, body: CloneMachine): Promise<number> {
  const { out, err, json, self, values } = invocation;
  const count = parseCount(values.get('count') ?? '1', '--count', MOST_CLONES);
  if (count === 0) throw new RingwallError('bad-request', '--count 0 makes nothing');
  await invocation.needServices();
  using progress = invocation.progress();
  const asked: { readonly machine: Machine; readonly operation: Operation }[] = [];
  let failed: RingwallError | undefined;
  const fail = (error: unknown): void => {
    if (!(error instanceof RingwallError)) throw error;
    failed ??= error;
    if (!json) printTrouble(err, self, error);
  };
  for (let number = 1; number <= count; number += 1) {
    progress.step(count === 1 ? 'asking for the machine' : `asking for machine ${String(number)} of ${String(count)}`);
    try {
      const wanted = { ...body, ...nameOf(body.name, number, count), live: true };
      asked.push(await invocation.withApi((api) => api.call('cloneMachine', { params: { machine }, body: wanted })));
    } catch (error) {
      // What one was refused for, the next would be.
      fail(error);
      break;
    }
  }
  const made: MachineDetail[] = [];
  const farewell = `They go on coming up. See them: ${self} ls   End one: ${self} rm --force NAME`;
  await whileWatching(invocation, farewell, async () => {
    for (const { machine: clone, operation } of asked) {
      try {
        const { step } = await followOperation(invocation, operation, progress);
        if (json)
          made.push(await invocation.withApi((api) => api.call('showMachine', { params: { machine: clone.id } })));
        else out.line(`${plainText(clone.name)} ${plainText(step)}.`);
      } catch (error) {
        progress.fail();
        fail(error);
      }
    }
  });
  if (json)
    printJson(invocation, failed === undefined ? { machines: made } : { machines: made, error: failed.toBody() });
  else if (asked.length > 0 && failed === undefined)
    out.line(`See what they are: ${self} ls   A shell: ${self} console NAME`);
  return failed === undefined ? 0 : exitCodeOf(failed);
}

/** Of several with a name: web-1, web-2, … Without one, the daemon finds them. */
function nameOf(name: string | undefined, number: number, count: number): Pick<CloneMachine, 'name'> {
  if (name === undefined) return {};
  return { name: count === 1 ? name : `${name}-${String(number)}` };
}
