// Judges the passwords of an image: which account an attacker gets into, and by what.
import type { InspectedImage, PlacedFact } from '../../inspection/inspected-image.ts';
import type { Finding, FindingSeverity } from '../../inspection/finding.ts';
import { flagField, listField, numberField, textField } from '../fact-fields.ts';
import { found, type FindingRule } from '../finding-rule.ts';
import { LOGIN_INSPECTOR_ID } from './login-inspector.ts';
import { passwordFileKind } from './password-files.ts';

const LOCK = 'passwd --lock ACCOUNT, in the instruction that set the password; let people in by key, at run time';

const EMPTY: FindingRule = {
  id: 'empty-password',
  severity: 'critical',
  title: 'an account asks for no password',
  reason: 'whoever reaches su, a login prompt or an SSH server that permits it is that account',
  fix: LOCK,
  references: ['CWE-258', 'CVE-2019-5021', 'ATT&CK T1078.003'],
};

const USUAL: FindingRule = {
  id: 'usual-password',
  severity: 'critical',
  title: 'an account’s password is among the first that attackers try',
  reason: 'every machine that listens is tried with these passwords within minutes, all day long',
  fix: LOCK,
  references: ['CWE-1392', 'CWE-521', 'ATT&CK T1110.001'],
};

const STORED: FindingRule = {
  id: 'password-hash',
  severity: 'medium',
  title: 'the image carries the hash of a password',
  reason: 'all containers of the image share the password, and whoever has the image guesses at leisure',
  fix: LOCK,
  references: ['CWE-798', 'ATT&CK T1003.008'],
};

const OLD_HASH: FindingRule = {
  id: 'old-password-hash',
  severity: 'high',
  title: 'a password is hashed in a way that is guessed fast',
  reason: 'one graphics card tries millions to billions of passwords in a second against it',
  fix: 'set the password anew with yescrypt (ENCRYPT_METHOD YESCRYPT in /etc/login.defs), or lock the account',
  references: ['CWE-916', 'CWE-328'],
};

const UNTRIED: FindingRule = {
  id: 'untried-password',
  severity: 'info',
  title: 'a password was not tried against all guesses',
  reason: 'whether it is a usual one is not known',
  fix: 'lock the account, or scan again where the system’s libcrypt can be asked',
  references: ['CWE-521'],
};

export const LOGIN_RULES: readonly FindingRule[] = [EMPTY, USUAL, STORED, OLD_HASH, UNTRIED];

const DOORS: ReadonlyMap<string, string> = new Map([
  ['usr/sbin/sshd', 'sshd'],
  ['usr/bin/sshd', 'sshd'],
  ['usr/sbin/dropbear', 'dropbear'],
  ['usr/sbin/vsftpd', 'vsftpd'],
  ['usr/sbin/in.telnetd', 'telnetd'],
  ['usr/sbin/telnetd', 'telnetd'],
]);
const LOWER: Readonly<Record<FindingSeverity, FindingSeverity>> = {
  critical: 'high',
  high: 'medium',
  medium: 'low',
  low: 'info',
  info: 'info',
};

/** Pure: what was guessed is in the facts. */
export function judgeLogins(image: InspectedImage): readonly Finding[] {
  const facts = image.facts(LOGIN_INSPECTOR_ID);
  const shells = shellsOf(facts);
  const door = image.visible.map(({ entry }) => DOORS.get(entry.path)).find((name) => name !== undefined);
  return firstOfEach(facts.filter(({ value }) => textField(value, 'what') === 'password')).flatMap((fact) => {
    const login: Login = {
      fact,
      account: textField(fact.value, 'account'),
      hasShell: passwordFileKind(fact.path) === 'htpasswd' || (shells.get(textField(fact.value, 'account')) ?? true),
      door,
    };
    return judgeLogin(login);
  });
}

interface Login {
  readonly fact: PlacedFact;
  readonly account: string;
  readonly hasShell: boolean;
  /** A server that asks for passwords. */
  readonly door: string | undefined;
}

function judgeLogin(login: Login): readonly Finding[] {
  const { value } = login.fact;
  const kind = textField(value, 'kind');
  const how = textField(value, 'how');
  switch (textField(value, 'verdict')) {
    case 'empty':
      return [tell(EMPTY, login, 'asks for no password')];
    case 'guessed':
      return [tell(USUAL, login, `has a usual password (${kind}): ${how}`)];
    case 'withstood':
      return stored(login, kind, numberField(value, 'tried'));
    default: {
      const tried = numberField(value, 'tried');
      return [
        ...stored(login, kind, tried),
        tell(UNTRIED, login, `was tried against ${String(tried)} guesses: ${how}`),
      ];
    }
  }
}

function stored(login: Login, kind: string, tried: number): readonly Finding[] {
  const weak = ['weak', 'broken'].includes(textField(login.fact.value, 'strength'));
  const rule = weak ? OLD_HASH : STORED;
  const withstood = tried === 0 ? '' : `, which withstood ${String(tried)} guesses`;
  return [tell(rule, login, `has a password (${kind})${withstood}`)];
}

function tell(rule: FindingRule, { fact, account, hasShell, door }: Login, what: string): Finding {
  const isWeb = passwordFileKind(fact.path) === 'htpasswd';
  const name = isWeb ? `the web login “${account}”` : `the account “${account}”`;
  const notes = [
    ...(!isWeb && hasShell && door !== undefined && rule !== STORED
      ? [`${door} is in the image and listens for it`]
      : []),
    ...(hasShell ? [] : ['its shell lets nobody in']),
    ...(fact.hiddenBy === undefined ? [] : ['in a file that a later layer replaced']),
  ];
  const lowered = hasShell && fact.hiddenBy === undefined ? rule.severity : LOWER[rule.severity];
  return found(rule, [`${name} ${what}`, ...notes].join('; '), fact, {
    severity: lowered,
    subject: account,
    fix: rule.fix.replace('ACCOUNT', account),
  });
}

/** A later layer's file of accounts takes the place of an earlier one's. */
function shellsOf(facts: readonly PlacedFact[]): ReadonlyMap<string, boolean> {
  const shells = new Map<string, boolean>();
  for (const { value, path } of facts) {
    if (textField(value, 'what') !== 'accounts' || path.endsWith('-') || path.endsWith('.bak')) continue;
    for (const account of listField(value, 'accounts')) {
      shells.set(textField(account, 'name'), flagField(account, 'hasShell'));
    }
  }
  return shells;
}

/**
 * Each change of an account writes the whole file anew, and the tools keep the former beside it. So the same password comes
 * with many layers and files: it is told once, where containers see it if they do, and of the layer that brought it first.
 */
function firstOfEach(facts: readonly PlacedFact[]): readonly PlacedFact[] {
  const first = new Map<string, PlacedFact>();
  for (const fact of facts) {
    const file = passwordFileKind(fact.path) === 'htpasswd' ? fact.path : 'system';
    const key = [file, ...['account', 'kind', 'verdict', 'how'].map((name) => textField(fact.value, name))].join('\n');
    const before = first.get(key);
    if (before === undefined) first.set(key, fact);
    else if (before.hiddenBy !== undefined && fact.hiddenBy === undefined)
      first.set(key, { ...before, hiddenBy: undefined, path: fact.path });
  }
  return [...first.values()];
}
