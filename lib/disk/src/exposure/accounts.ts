// The accounts of a Unix system, by passwd(5) and shadow(5): who may log in, and how well each password is hashed.
import { passwordKind, type PasswordKind } from './password-hashes.ts';

/** A system has some dozens; a university's has thousands. */
export const MAX_ACCOUNTS = 100_000;

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly shell: string;
  /** Undefined where there is no shadow file that names it. */
  readonly password: PasswordKind | undefined;
  /** A shell that lets nobody in, or a locked password. */
  readonly canLogIn: boolean;
}

const NO_LOGIN = /\/(?:nologin|false|sync|halt|shutdown)$/;

/** Lines that are not of the form are passed over: a damaged line must not hide the others. */
export function parseAccounts(passwd: string, shadow: string | undefined): Account[] {
  const hashes = new Map(
    (shadow ?? '').split('\n', MAX_ACCOUNTS).flatMap((line): [string, string][] => {
      const [name, field] = line.split(':', 2);
      return name === undefined || name === '' || field === undefined ? [] : [[name, field]];
    }),
  );
  return passwd.split('\n', MAX_ACCOUNTS).flatMap((line): Account[] => {
    const [name, field, uid, , , home, shell] = line.split(':');
    if (name === undefined || name === '' || uid === undefined || !/^\d{1,10}$/.test(uid)) return [];
    // What is not 'x' stands in passwd itself, as it did before there was a shadow file.
    const hash = field === 'x' ? hashes.get(name) : field;
    const password = hash === undefined ? undefined : passwordKind(hash);
    const canLogIn = !NO_LOGIN.test(shell ?? '') && password?.strength !== 'locked';
    return [{ name, uid: Number(uid), home: home ?? '', shell: shell ?? '', password, canLogIn }];
  });
}
