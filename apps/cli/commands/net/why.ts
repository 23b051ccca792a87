// `ringwall net why`: the rule that decides whether one reaches another, or what is missing, and how to open it.
import type { Reach } from '@ringwall/api/networks';
import { RingwallError } from '@ringwall/api/errors';
import { bullet } from '../../bullet.ts';
import { printJson, type Invocation } from '../../invocation.ts';
import { printLabels } from '../../network/labels.ts';
import { plainText } from '../../terminal.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, json, values } = invocation;
  const [from, to, service, more] = invocation.arguments;
  if (from === undefined || to === undefined || service === undefined || more !== undefined) {
    throw new RingwallError('bad-request', 'net why takes who begins, whom they want to reach, and by what', {
      hint: `as in: ${self} net why web db tcp/5432`,
    });
  }
  const network = values.get('network');
  const query = { from, to, service, ...(network === undefined ? {} : { network }) };
  const reach = await invocation.withApi((api) => api.call('explainReach', { query }));
  if (json) {
    printJson(invocation, { ...reach, ...(opener(reach, self) === undefined ? {} : { allow: opener(reach, self) }) });
    return;
  }
  const arrow = out.sign('→', '->');
  const answer = reach.open ? out.paint('green', 'yes') : out.paint('red', 'no');
  out.line(`${endText(reach.from)} ${arrow} ${endText(reach.to)} by ${plainText(service)}: ${answer}`);
  for (const line of bullet(out, reach.allowed ? out.tick : out.cross, sentence(reach))) out.line(line);
  for (const note of reach.notes) for (const line of bullet(out, out.bang, note)) out.line(line);
  const command = opener(reach, self);
  if (command !== undefined) out.line(`${reach.rule === undefined ? 'Open it' : 'Take it back'}: ${command}`);
}

function sentence({ network = 'the network', reason, rule, allowed, to, protectedAs = '' }: Reach): string {
  if (rule !== undefined) {
    const why = rule.why === undefined ? '' : `: “${rule.why}”`;
    return allowed
      ? `the rule ${rule.name} of ${network} allows it${why}`
      : `the rule ${rule.name} of ${network} denies it, and beats every rule that allows${why}`;
  }
  const said = REASONS[reason];
  return said === undefined ? `it is refused: ${reason}` : said(network, to.text, protectedAs);
}

const REASONS: Readonly<Record<string, (network: string, to: string, protectedAs: string) => string>> = {
  'no-rule': (network) => `no rule of ${network} allows it, and what no rule allows does not happen`,
  'no-way-out': (network) => `${network} has no way out, and no machine of it has that address`,
  'nobody-there': (network) => `no machine of ${network} has that address`,
  'nobody-sends': (network) =>
    `the sender is no machine of ${network}: what comes under its address is dropped as spoofed`,
  protected: (_, to, protectedAs) => `no machine may reach ${to}, whatever a rule says: it is ${protectedAs}`,
  private: (network, to) =>
    `${to} is a private address, and no rule of ${network} names it: a rule to everything does not mean it`,
  'no-common-network': () => 'they have no network in common',
};

/** The command that would change the answer, where one would. */
function opener({ network, from, to, service, reason, rule }: Reach, self: string): string | undefined {
  if (network === undefined) return undefined;
  if (rule?.action === 'deny') return `${self} net rules rm ${rule.name} --network ${network}`;
  if (reason !== 'no-rule' && reason !== 'private') return undefined;
  return `${self} allow ${endWord(from)} ${endWord(to)} ${service} --network ${network}`;
}

/** By its labels, where it has some: whoever is like it has the same need. */
function endWord({ labels = {}, machine, text }: Reach['from']): string {
  return Object.keys(labels).length > 0 ? printLabels(labels) : (machine ?? text);
}

function endText({ machine, host, address, text }: Reach['from']): string {
  const name = host === undefined ? machine : `${machine ?? text}@${host}`;
  return plainText(name === undefined ? text : address === undefined ? name : `${name} (${address})`);
}
