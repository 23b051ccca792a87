// What a policy comes to, network by network.
import type { PolicyPlan } from '@ringwall/api/networks';
import { bullet } from '../bullet.ts';
import { plainText, type Style, type Terminal } from '../terminal.ts';
import { renderConsequences } from './render-consequences.ts';

type Does = PolicyPlan['networks'][number]['does'];

const WORDS: Readonly<Record<'plan' | 'apply', Readonly<Record<Does, string>>>> = {
  plan: { make: 'would be made', change: 'would be changed', keep: 'stays as it is', remove: 'would be removed' },
  apply: { make: 'was made', change: 'was changed', keep: 'stays as it was', remove: 'was removed' },
};
const STYLES: Readonly<Record<Does, Style>> = { make: 'green', change: 'yellow', keep: 'dim', remove: 'red' };

export function renderPlan(terminal: Terminal, { networks, troubles }: PolicyPlan, when: 'plan' | 'apply'): string[] {
  return [
    ...networks.flatMap((network) => [
      `${terminal.paint('bold', plainText(network.name))}  ${terminal.paint(STYLES[network.does], WORDS[when][network.does])}`,
      ...renderConsequences(terminal, network),
      ...sayHosts(network).flatMap((line) => bullet(terminal, terminal.bang, line)),
    ]),
    ...troubles.flatMap((trouble) => bullet(terminal, terminal.cross, trouble)),
  ];
}

/** Each host decides by its own copy: what this one says is half of it. */
function sayHosts({ hosts, does }: PolicyPlan['networks'][number]): string[] {
  if (hosts.length === 0 || does === 'keep') return [];
  return [`its machines on ${plainText(hosts.join(', '))} are decided about there, too: apply the same file there`];
}
