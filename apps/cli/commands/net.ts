// `ringwall net`: what the rules of networks come to. Each of its words is a file in net/.
import { RingwallError } from '@ringwall/api/errors';
import type { CommandModule } from '../command.ts';
import type { Invocation } from '../invocation.ts';
import { nearest } from '../parse.ts';

const ACTIONS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  why: () => import('./net/why.ts'),
  map: () => import('./net/map.ts'),
  rules: () => import('./net/rules.ts'),
  counters: () => import('./net/counters.ts'),
  watch: () => import('./net/watch.ts'),
  mirror: () => import('./net/mirror.ts'),
  capture: () => import('./net/capture.ts'),
  plan: () => import('./net/plan.ts'),
  apply: () => import('./net/apply.ts'),
  export: () => import('./net/export.ts'),
};

/** Hands the rest of the words on. */
export async function run(invocation: Invocation): Promise<number | void> {
  const [action = '', ...words] = invocation.arguments;
  const load = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (load === undefined) {
    const names = Object.keys(ACTIONS);
    const meant = nearest(action, names);
    throw new RingwallError('bad-request', `net has no ${JSON.stringify(action)}`, {
      hint: meant === undefined ? `it has ${names.join(', ')}` : `did you mean: ${invocation.self} net ${meant}`,
    });
  }
  return (await load()).run({ ...invocation, arguments: words });
}
