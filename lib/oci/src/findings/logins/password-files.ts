// Files in which systems keep who may log in with which password: passwd(5), shadow(5), master.passwd(5) of the BSDs, and
// the files of htpasswd(1). Whoever made the image controls every byte: what is not of the form is passed over.
import { passwordKind, type PasswordKind } from '@ringwall/disk/exposure';

/** A system has some dozens of accounts; a hostile file could have millions, each with a hash to try. */
export const MAX_PASSWORDS_OF_A_FILE = 1000;
/** libcrypt's longest (CRYPT_OUTPUT_SIZE). */
const MAX_HASH_CHARACTERS = 384;
const MAX_ACCOUNT_CHARACTERS = 256;

export type PasswordFileKind = 'passwd' | 'shadow' | 'master.passwd' | 'htpasswd';

export interface StoredPassword {
  readonly account: string;
  readonly kind: PasswordKind;
  /** The whole field, as libcrypt takes it; '' where no password is asked for. */
  readonly hash: string;
}

export interface LoginAccount {
  readonly name: string;
  /** Its shell is one. */
  readonly hasShell: boolean;
}

/** By the name of the file, from the root and without a slash at its start. */
export function passwordFileKind(path: string): PasswordFileKind | undefined {
  if (/^(?:etc\/passwd-?|var\/backups\/passwd\.bak)$/.test(path)) return 'passwd';
  if (/^(?:etc\/shadow-?|var\/backups\/shadow\.bak)$/.test(path)) return 'shadow';
  if (path === 'etc/master.passwd') return 'master.passwd';
  return /(?:^|\/)(?:\.?htpasswd|[\w-]{1,60}\.htpasswd)$/.test(path) ? 'htpasswd' : undefined;
}

/** Those that let somebody in, or would after a guess: locked ones are left out. */
export function parsePasswords(kind: PasswordFileKind, text: string): readonly StoredPassword[] {
  const passwords: StoredPassword[] = [];
  for (const line of linesOf(text)) {
    const [account = '', ...rest] = line.split(':');
    const [field] = rest;
    if (field === undefined || account === '' || account.startsWith('+') || account.length > MAX_ACCOUNT_CHARACTERS)
      continue;
    const hash = kind === 'htpasswd' ? field.trim() : field;
    // `!` and `*` before it lock the account: it lets nobody in, whatever follows. `x` says that the hash is elsewhere.
    if (/^[!*]/.test(hash) || hash === 'x' || hash.length > MAX_HASH_CHARACTERS) continue;
    // In a file of accounts each line has its fields; a line without them is no account.
    if (kind !== 'htpasswd' && rest.length < (kind === 'shadow' ? 2 : 6)) continue;
    const strength = kindOf(kind, hash);
    if (strength.strength !== 'locked') passwords.push({ account, kind: strength, hash });
    if (passwords.length >= MAX_PASSWORDS_OF_A_FILE) break;
  }
  return passwords;
}

/** Accounts that a shell waits for. */
export function parseLoginAccounts(kind: PasswordFileKind, text: string): readonly LoginAccount[] {
  if (kind !== 'passwd' && kind !== 'master.passwd') return [];
  const accounts: LoginAccount[] = [];
  for (const line of linesOf(text)) {
    const fields = line.split(':');
    const [name = '', , uid = ''] = fields;
    if (name === '' || name.length > MAX_ACCOUNT_CHARACTERS || !/^\d{1,10}$/.test(uid)) continue;
    const shell = fields[kind === 'passwd' ? 6 : 9];
    if (shell === undefined) continue;
    // An empty field is /bin/sh (passwd(5)).
    const hasShell = !/\/(?:nologin|false|sync|halt|shutdown)$/.test(shell.trim());
    accounts.push({ name, hasShell });
    if (accounts.length >= MAX_PASSWORDS_OF_A_FILE) break;
  }
  return accounts;
}

function kindOf(file: PasswordFileKind, hash: string): PasswordKind {
  if (file !== 'htpasswd') return passwordKind(hash);
  if (hash.startsWith('{SHA}')) return { name: 'SHA-1 without salt', strength: 'broken' };
  if (hash.startsWith('$apr1$')) return { name: 'apr1', strength: 'weak' };
  return passwordKind(hash);
}

/** `#` begins a comment in the files of the BSDs and of htpasswd; no account's name has one. */
function* linesOf(text: string): Iterable<string> {
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf('\n', at);
    const end = newline < 0 ? text.length : newline;
    if (end > at && text[at] !== '#') yield text.slice(at, end);
    at = end + 1;
  }
}
