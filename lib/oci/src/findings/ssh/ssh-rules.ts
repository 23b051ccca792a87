// Judges the SSH server of an image by what it is told, all files put together, and the keys that were left in the image.
import type { Finding } from '../../inspection/finding.ts';
import type { InspectedImage, PlacedFact } from '../../inspection/inspected-image.ts';
import { listField, numberField, textField } from '../fact-fields.ts';
import { found, type FindingRule } from '../finding-rule.ts';
import { effectiveSettings, type ServerDirective } from './server-configuration.ts';
import { SSH_INSPECTOR_ID } from './ssh-inspector.ts';

const MAIN = 'etc/ssh/sshd_config';
const SERVERS: ReadonlySet<string> = new Set(['usr/sbin/sshd', 'usr/bin/sshd', 'usr/local/sbin/sshd']);

const SERVER: FindingRule = {
  id: 'ssh-server',
  severity: 'low',
  title: 'the image has an SSH server',
  reason: 'a way in beside the application, with accounts, keys and faults of its own',
  fix: 'leave it out; `docker exec` and its like need none',
  references: ['CWE-1188', 'ATT&CK T1021.004'],
};

const ROOT_PASSWORD: FindingRule = {
  id: 'ssh-root-by-password',
  severity: 'high',
  title: 'the SSH server lets root in by password',
  reason: 'one guessed password is the whole machine, and root’s name needs no guessing',
  fix: 'PermitRootLogin prohibit-password, in sshd_config before any Include',
  references: ['CWE-307', 'ATT&CK T1110', 'ATT&CK T1021.004'],
};

const PASSWORDS: FindingRule = {
  id: 'ssh-passwords',
  severity: 'medium',
  title: 'the SSH server lets people in by password',
  reason: 'passwords are guessed all day long, by everybody who reaches the port',
  fix: 'PasswordAuthentication no and KbdInteractiveAuthentication no, in sshd_config before any Include',
  references: ['CWE-307', 'ATT&CK T1110'],
};

const EMPTY: FindingRule = {
  id: 'ssh-empty-passwords',
  severity: 'critical',
  title: 'the SSH server lets in who has no password',
  reason: 'an account without a password is open to everybody who reaches the port',
  fix: 'PermitEmptyPasswords no, in sshd_config before any Include',
  references: ['CWE-258', 'CWE-521'],
};

const HOST_KEY: FindingRule = {
  id: 'ssh-host-key',
  severity: 'high',
  title: 'the image holds the private key of an SSH server',
  reason: 'all containers of the image have the same key: whoever has the image poses as any of them',
  fix: 'RUN rm /etc/ssh/ssh_host_*, in the instruction that installs the server; make keys at the first start: ssh-keygen -A',
  references: ['CWE-321', 'ATT&CK T1557'],
};

const AUTHORIZED: FindingRule = {
  id: 'ssh-authorized-keys',
  severity: 'medium',
  title: 'keys of people are let in by the image',
  reason: 'whoever has the private half logs in to every container of the image, and nobody can take that back',
  fix: 'leave the file out; bring keys at run time',
  references: ['CWE-798', 'ATT&CK T1098.004'],
};

const WEAK: FindingRule = {
  id: 'ssh-weak-key',
  severity: 'high',
  title: 'a key that may log in can be computed',
  reason: 'DSA, and RSA of less than 2,048 bits, are within reach of who has the public half, which the image tells',
  fix: 'ssh-keygen -t ed25519, and its public half in place of the old one',
  references: ['CWE-326', 'https://csrc.nist.gov/pubs/sp/800/131/a/r2/final'],
};

const PUBLISHED: FindingRule = {
  id: 'ssh-published-key',
  severity: 'critical',
  title: 'a key may log in whose private half everybody has',
  reason: 'Vagrant publishes its first key so that a first login works; it is to be replaced then',
  fix: 'take the line out of authorized_keys',
  references: ['CWE-798', 'https://github.com/hashicorp/vagrant/tree/main/keys'],
};

export const SSH_RULES: readonly FindingRule[] = [
  SERVER,
  ROOT_PASSWORD,
  PASSWORDS,
  EMPTY,
  HOST_KEY,
  AUTHORIZED,
  WEAK,
  PUBLISHED,
];

export function judgeSsh(image: InspectedImage): readonly Finding[] {
  const facts = image.facts(SSH_INSPECTOR_ID);
  const server = image.visible.find(({ entry }) => SERVERS.has(entry.path));
  const ofServer =
    server === undefined
      ? []
      : [
          found(SERVER, 'an SSH server is in the image', { path: server.entry.path, layer: server.layer }),
          ...judgeServer(facts.filter(({ hiddenBy }) => hiddenBy === undefined)),
        ];
  return [...ofServer, ...facts.flatMap((fact) => judgeKeys(fact))];
}

function judgeServer(facts: readonly PlacedFact[]): readonly Finding[] {
  const files = new Map<string, readonly ServerDirective[]>();
  let layer: number | undefined;
  for (const { value, path, layer: own } of facts) {
    if (textField(value, 'what') !== 'configuration') continue;
    files.set(path, directivesOf(value));
    if (path === MAIN) layer = own;
  }
  const at = { path: MAIN, layer };
  const { always, sometimes } = effectiveSettings(files, MAIN);
  const is = (keyword: string, value: string): boolean => always.get(keyword) === value;
  // With PAM, as all distributions set it, keyboard-interactive asks for the password as well.
  const byPassword =
    is('passwordauthentication', 'yes') || (is('kbdinteractiveauthentication', 'yes') && is('usepam', 'yes'));
  const findings: Finding[] = [];
  if (byPassword) {
    findings.push(found(PASSWORDS, 'the SSH server lets people in by password', at));
    if (is('permitrootlogin', 'yes'))
      findings.push(found(ROOT_PASSWORD, 'the SSH server lets root in by password', at));
    if (is('permitemptypasswords', 'yes'))
      findings.push(found(EMPTY, 'the SSH server lets in who has no password', at));
  }
  for (const { condition, keyword, value } of sometimes) {
    const rule = RISKS.get(`${keyword} ${value.toLowerCase()}`);
    if (rule === undefined || findings.some((finding) => finding.rule === rule.id)) continue;
    const told = condition.slice(0, MAX_TOLD_CHARACTERS);
    findings.push(
      found(rule, `${rule.title}, where “Match ${told}” fits`, at, { severity: 'medium', subject: `Match ${told}` }),
    );
  }
  return findings;
}

/** Of conditions, which the image chose. */
const MAX_TOLD_CHARACTERS = 120;
const RISKS: ReadonlyMap<string, FindingRule> = new Map([
  ['passwordauthentication yes', PASSWORDS],
  ['permitrootlogin yes', ROOT_PASSWORD],
  ['permitemptypasswords yes', EMPTY],
]);

function directivesOf(fact: PlacedFact['value']): readonly ServerDirective[] {
  return listField(fact, 'directives').flatMap((words): ServerDirective[] => {
    const [keyword, ...rest] = Array.isArray(words) ? words.filter((word) => typeof word === 'string') : [];
    return keyword === undefined ? [] : [{ keyword, arguments: rest }];
  });
}

function judgeKeys(fact: PlacedFact): readonly Finding[] {
  const { value, path, hiddenBy } = fact;
  const deleted =
    hiddenBy === undefined ? '' : '; a later layer deleted or replaced the file, and the image still has it';
  const what = textField(value, 'what');
  if (what === 'host-key') return [found(HOST_KEY, `“${path}”: ${textField(value, 'detail')}${deleted}`, fact)];
  if (what !== 'authorized-keys' || hiddenBy !== undefined) return [];
  const count = numberField(value, 'count');
  const names = listField(value, 'names').filter((name) => typeof name === 'string');
  const who = names.length === 0 ? '' : `: ${names.join(', ')}`;
  const weak = listField(value, 'weak').filter((name) => typeof name === 'string');
  const published = numberField(value, 'published');
  return [
    found(AUTHORIZED, `“${path}” lets in ${String(count)} ${count === 1 ? 'key' : 'keys'}${who}`, fact),
    ...(weak.length === 0 ? [] : [found(WEAK, `“${path}” lets in ${[...new Set(weak)].join(', ')}`, fact)]),
    ...(published === 0 ? [] : [found(PUBLISHED, `“${path}” lets in Vagrant’s published key`, fact)]),
  ];
}
