// `ringwall allow` and `ringwall deny`: a rule more, from what somebody types, and what it opens or closes.
import { RingwallError } from '@ringwall/api/errors';
import { printJson, type Invocation } from '../invocation.ts';
import { parseSeconds } from '../quantities.ts';
import { plainText } from '../terminal.ts';
import { chooseNetwork } from './choose-network.ts';
import { nameRule, parseEnd, printEnd } from './ends.ts';
import { renderConsequences } from './render-consequences.ts';

export async function addRule(invocation: Invocation, action: 'allow' | 'deny'): Promise<void> {
  const { out, self, json, values, flags, now } = invocation;
  const [from = '', to = '', ...services] = invocation.arguments;
  if (services.length === 0) {
    throw new RingwallError('bad-request', `${action} needs a service`, {
      hint: `as in: ${self} ${action} ${from} ${to} tcp/5432; or udp/53, ping, any`,
    });
  }
  const before = values.has('for') ? timeAfter(values.get('for') ?? '', now()) : undefined;
  const { name: network, spec } = await chooseNetwork(invocation);
  const rules = rulesOf(spec.definition);
  const rule = {
    action,
    from: parseEnd(from, spec.definition),
    to: parseEnd(to, spec.definition),
    services,
    ...(flags.has('log') ? { log: true } : {}),
    ...(before === undefined ? {} : { before }),
    ...(values.has('why') ? { why: values.get('why') } : {}),
  };
  const same = rules.find((each) => saysTheSame(each, rule));
  if (same !== undefined) {
    if (json) printJson(invocation, { network, rule: same, changes: [], more: 0, findings: [] });
    else out.line(`${network} has this rule already: ${plainText(same.name)}`);
    return;
  }
  const name = values.get('name') ?? nameRule(rule, new Set(rules.map((each) => each.name)));
  const body = { rule: { name, ...rule } };
  const changed = await invocation.withApi((api) => api.call('addRule', { params: { network }, body }));
  if (json) {
    const { changes, more, findings } = changed;
    printJson(invocation, { network, rule: body.rule, state: changed.network.status.state, changes, more, findings });
    return;
  }
  const pending = changed.network.status.state === 'pending';
  const until = before === undefined ? '' : ` until ${before.replace('T', ' ').replace('Z', ' UTC')}`;
  const state = pending ? `is written down, and will be in force in ${network}` : `is in force in ${network}`;
  out.line(
    `${plainText(name)} ${state}${until}: ${printEnd(rule.from)} ${action === 'allow' ? 'may' : 'may not'} begin connections to ${printEnd(rule.to)} by ${services.join(', ')}.`,
  );
  const findings = changed.findings.filter(({ rule: about, message }) => about === name || message.includes(name));
  for (const line of renderConsequences(out, { ...changed, findings })) out.line(line);
  if (changed.changes.length === 0)
    out.line(
      `  ${out.paint('dim', action === 'allow' ? 'nothing opens by it that was not open' : 'nothing closes by it that was open')}`,
    );
  if (changed.network.status.trouble !== undefined)
    out.line(`  ${out.bang} ${plainText(changed.network.status.trouble)}`);
  out.line(`Take it back: ${self} net rules rm ${name} --network ${network}`);
}

interface StoredRule {
  readonly name: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export function rulesOf({ rules }: Readonly<Record<string, unknown>>): StoredRule[] {
  return (Array.isArray(rules) ? rules : []).map((json) => ({
    name: String(Object(json).name),
    json: { ...Object(json) },
  }));
}

/** Whatever it is called, and why. */
function saysTheSame({ json }: StoredRule, rule: object): boolean {
  const bare = (wanted: object): string => {
    const said = Object.entries(wanted).filter(([key]) => key !== 'name' && key !== 'why');
    return JSON.stringify(said.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };
  return bare(json) === bare(rule);
}

/** `30m`, `2h`, `7d` from now, in UTC and whole seconds. */
function timeAfter(text: string, nowMs: number): string {
  const seconds = parseSeconds(text, '--for');
  return new Date((Math.floor(nowMs / 1_000) + seconds) * 1_000).toISOString().replace('.000Z', 'Z');
}
