// `ringwall net rules`: the rules of a network, in the order in which they are asked, and how one is taken back.
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../../invocation.ts';
import { rulesOf } from '../../network/add-rule.ts';
import { chooseNetwork } from '../../network/choose-network.ts';
import { printEnd } from '../../network/ends.ts';
import { renderConsequences } from '../../network/render-consequences.ts';
import { formatTime } from '../../quantities.ts';
import { renderTable, type Cell } from '../../table.ts';
import { plainText } from '../../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const [word, rule, more] = invocation.arguments;
  if (word === undefined) return list(invocation);
  if (word === 'rm' && rule !== undefined && more === undefined) return takeBack(invocation, rule);
  throw new RingwallError('bad-request', 'net rules lists them, and net rules rm NAME takes one back', {
    hint: `as in: ${invocation.self} net rules rm web-to-db`,
  });
}

async function list(invocation: Invocation): Promise<void> {
  const { out, self, json, now } = invocation;
  const { name, spec } = await chooseNetwork(invocation);
  const rules = rulesOf(spec.definition).map((rule) => rule.json);
  const ordered = ['deny', 'allow'].flatMap((action) => rules.filter((rule) => rule['action'] === action));
  if (json) {
    printJson(invocation, { network: name, rules: ordered });
    return;
  }
  if (ordered.length === 0) {
    out.line(`${name} has no rules: nothing is allowed. Allow something: ${self} allow role=web role=db tcp/5432`);
    return;
  }
  const columns = [
    ...['RULE', 'DOES', 'FROM', 'TO', 'SERVICES', 'UNTIL'].map((title) => ({ title })),
    { title: 'WHY', elastic: true } as const,
  ];
  const rows = ordered.map((rule): Cell[] => {
    const until = typeof rule['before'] === 'string' ? rule['before'] : undefined;
    const over = until !== undefined && Date.parse(until) <= now();
    return [
      { text: plainText(String(rule['name'])), style: 'bold' },
      { text: rule['action'] === 'deny' ? 'denies' : 'allows', style: rule['action'] === 'deny' ? 'red' : 'green' },
      { text: plainText(printEnd(rule['from'])) },
      { text: plainText(printEnd(rule['to'])) },
      { text: plainText((Array.isArray(rule['services']) ? rule['services'] : []).map(String).join(',')) },
      until === undefined ? { text: '-' } : { text: over ? 'over' : formatTime(until), style: 'yellow' },
      { text: plainText(typeof rule['why'] === 'string' ? rule['why'] : ''), style: 'dim' },
    ];
  });
  for (const line of renderTable(out, columns, rows)) out.line(line);
}

async function takeBack(invocation: Invocation, rule: string): Promise<void> {
  const { out, json } = invocation;
  const { name: network } = await chooseNetwork(invocation);
  const changed = await invocation.withApi((api) => api.call('removeRule', { params: { network, rule } }));
  if (json) {
    const { changes, more, findings } = changed;
    printJson(invocation, { network, removed: rule, state: changed.network.status.state, changes, more, findings });
    return;
  }
  out.line(`${plainText(rule)} is taken back from ${network}.`);
  for (const line of renderConsequences(out, { ...changed, findings: [] })) out.line(line);
}
