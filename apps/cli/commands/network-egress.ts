// `ringwall network egress`: how networks of this host get out. Root writes it into a file of the warden's own, which no request can
// make, and takes it back by removing that; the warden does what it says, and undoes it whole.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RingwallError } from '@ringwall/api/errors';
import type { HostWayOut } from '@ringwall/api/networks';
import { NetPolicyError, parseEgress } from '@ringwall/netpolicy';
import { printJson, type Invocation } from '../invocation.ts';
import { sayWayOut } from '../network/way-out.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

const ACTIONS = { on: switchOn, off: switchOff, show } as const;
const EXAMPLE = '--on eth0 --address 192.0.2.10/24 --gateway 192.0.2.1 --resolvers 9.9.9.9';

export async function run(invocation: Invocation): Promise<void> {
  const [, action = 'show', more] = invocation.arguments;
  if (!isAction(action) || more !== undefined) {
    throw new RingwallError('bad-request', `network egress has no ${JSON.stringify(more ?? action)}`, {
      hint: `it has ${Object.keys(ACTIONS).join(', ')}`,
    });
  }
  await ACTIONS[action](invocation);
}

function isAction(word: string): word is keyof typeof ACTIONS {
  return Object.hasOwn(ACTIONS, word);
}

async function switchOn(invocation: Invocation): Promise<void> {
  const setting = settingOf(invocation);
  if (!isRoot()) goOnAsRoot(invocation, 'by which way networks get out is root’s to say');
  await invocation.needServices();
  const file = fileOf(invocation);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // Never for who called sudo: it is believed because it is root's.
  writeWhole(file, `${JSON.stringify(setting, undefined, 2)}\n`, {});
  const way = await invocation.withApi((api) => api.call('showWayOut'));
  if (invocation.json) printJson(invocation, way);
  else for (const line of told(invocation, way)) invocation.out.line(line);
  if (way.state === 'on') return;
  throw new RingwallError('network-failed', way.trouble ?? `${file} was written, and the warden has not read it`, {
    hint: `it is tried again every few seconds; take it back: ${invocation.self} network egress off`,
  });
}

async function switchOff(invocation: Invocation): Promise<void> {
  if (!isRoot()) goOnAsRoot(invocation, 'by which way networks get out is root’s to say');
  const file = fileOf(invocation);
  const was = existsSync(file);
  rmSync(file, { force: true });
  const way = await invocation.withApi((api) => api.call('showWayOut'));
  if (invocation.json) printJson(invocation, way);
  else
    invocation.out.line(was ? 'No network gets out of this host any more.' : 'No network could get out of this host.');
}

async function show(invocation: Invocation): Promise<void> {
  const way = await invocation.withApi((api) => api.call('showWayOut'));
  if (invocation.json) printJson(invocation, way);
  else for (const line of told(invocation, way)) invocation.out.line(line);
}

function told({ out, self }: Invocation, way: HostWayOut): string[] {
  if (way.state === 'off') {
    return [
      'No network gets out of this host, also where rules lead out.',
      'Root gives them a way, as in:',
      `  ${self} network egress on ${EXAMPLE}`,
    ];
  }
  const mark = way.state === 'on' ? out.tick : out.bang;
  return [`${mark} ${plainText(sayWayOut(way, self))}`];
}

/** As a parser judges it that the warden has, too. */
function settingOf({ values, self }: Invocation): object {
  const list = (name: string): string[] => values.get(name)?.split(',') ?? [];
  const [given, shared] = [values.get('interface'), values.get('on')];
  const hint = `as in: ${self} network egress on ${EXAMPLE}`;
  if ((given === undefined) === (shared === undefined)) {
    const message = 'network egress on needs an interface: one to give away (--interface), or one to share (--on)';
    throw new RingwallError('bad-request', message, { hint });
  }
  const setting = {
    version: 1,
    uplink: given === undefined ? { on: shared } : { interface: given },
    addresses: list('address'),
    gateways: list('gateway'),
    resolvers: list('resolvers'),
    never: list('never'),
  };
  try {
    parseEgress(setting);
    return setting;
  } catch (error) {
    if (!(error instanceof NetPolicyError)) throw error;
    throw new RingwallError('bad-request', error.message, { hint });
  }
}

/** From where this instance is, and nothing that somebody answers. */
function fileOf({ paths }: Invocation): string {
  return join(paths.state, 'warden', 'egress.json');
}
