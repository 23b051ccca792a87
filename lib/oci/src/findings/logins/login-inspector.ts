// Reads who may log in, and with what hash. The hashes go to whoever tries them, and to nobody else: they are taken out
// before anything is kept.
import type { FactValue, Inspector } from '../../inspection/inspector.ts';
import { textField, withField, withoutField } from '../fact-fields.ts';
import { parseLoginAccounts, parsePasswords, passwordFileKind } from './password-files.ts';

/** Some thousand accounts; a system has dozens. */
const MAX_PASSWORD_FILE_BYTES: number = 1024 * 1024;

const latin1: TextDecoder = new TextDecoder('latin1');

export const LOGIN_INSPECTOR_ID = 'logins/1';

/**
 * Of the fact of a password. `empty`: none is asked for. `guessed`: `how` says how. `withstood`: all guesses were tried.
 * `untried`: `how` says why, `tried` how many were.
 */
export type PasswordVerdict = 'empty' | 'guessed' | 'withstood' | 'untried';

export const loginInspector: Inspector = {
  id: LOGIN_INSPECTOR_ID,
  wants: ({ path, type }) =>
    type === 'file' && passwordFileKind(path) !== undefined ? MAX_PASSWORD_FILE_BYTES : undefined,
  inspect({ path }, bytes) {
    const kind = passwordFileKind(path);
    if (kind === undefined) return [];
    // One character for each byte: a hash is ASCII, and a name is compared with itself alone.
    const text = latin1.decode(bytes);
    const accounts = parseLoginAccounts(kind, text).map(({ name, hasShell }): FactValue => ({ name, hasShell }));
    const passwords = parsePasswords(kind, text).map(({ account, kind: { name, strength }, hash }): FactValue => ({
      what: 'password',
      account,
      kind: name,
      strength,
      verdict: (strength === 'empty' ? 'empty' : 'untried') satisfies PasswordVerdict,
      how: strength === 'empty' ? '' : 'no program to try it with',
      tried: 0,
      hash,
    }));
    return [...(accounts.length === 0 ? [] : [{ what: 'accounts', accounts }]), ...passwords];
  },
  redact: (value) => withoutField(value, 'hash'),
};

/** Of a fact before it is redacted: what there is to try. */
export function untriedPassword(fact: FactValue): { readonly account: string; readonly hash: string } | undefined {
  const hash = textField(fact, 'hash');
  if (textField(fact, 'verdict') !== 'untried' || hash === '') return undefined;
  return { account: textField(fact, 'account'), hash };
}

export interface TriedPassword {
  readonly verdict: PasswordVerdict;
  readonly how: string;
  readonly tried: number;
}

export function withVerdict(fact: FactValue, { verdict, how, tried }: TriedPassword): FactValue {
  return withField(withField(withField(fact, 'verdict', verdict), 'how', how), 'tried', tried);
}
