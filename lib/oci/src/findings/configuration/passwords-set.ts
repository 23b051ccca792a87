// Passwords that a shell script sets: of which accounts, and whether they are usual ones. What they are is told to nobody.
import type { ShellList } from '../../shell/nodes.ts';
import { pipelinesOf } from '../../shell/walk.ts';
import { USUAL_PASSWORDS } from '../logins/usual-passwords.ts';

export interface PasswordSet {
  readonly account: string;
  readonly isUsual: boolean;
}

/** `echo root:secret | chpasswd`, `printf … | chpasswd`, `chpasswd <<< …`, `echo secret | passwd --stdin root`. */
export function passwordsSet(script: ShellList): readonly PasswordSet[] {
  return pipelinesOf(script).flatMap(({ commands }) => {
    const last = commands.at(-1);
    if (last?.type !== 'command') return [];
    const words = last.words.map(({ value }) => value);
    const isChpasswd = words.some((word) => /(?:^|\/)chpasswd$/.test(word));
    const isPasswd = words.some((word) => /(?:^|\/)passwd$/.test(word));
    if (!isChpasswd && !isPasswd) return [];
    const written = [
      ...commands.slice(0, -1).flatMap((command) => (command.type === 'command' ? command.words.slice(1) : [])),
      ...last.redirects.filter(({ operator }) => operator === '<<<').map(({ target }) => target),
    ].map(({ value }) => value);
    const bodies = last.redirects.map(({ body }) => body ?? '');
    const lines = [...written, ...bodies].flatMap((text) => text.split(/\\n|\n/));
    if (isChpasswd) return lines.flatMap((line) => accountLine(line));
    const account = words.findLast((word) => !word.startsWith('-') && !/(?:^|\/)passwd$/.test(word)) ?? 'root';
    const password = lines.find((line) => line !== '' && !line.startsWith('-'));
    return password === undefined ? [] : [{ account, isUsual: isUsualFor(account, password) }];
  });
}

function accountLine(line: string): PasswordSet[] {
  const [, account, password = ''] = /^([a-z_][\w.-]{0,31}):(.{1,400})$/i.exec(line.trim()) ?? [];
  return account === undefined ? [] : [{ account, isUsual: isUsualFor(account, password) }];
}

function isUsualFor(account: string, password: string): boolean {
  return password === account || USUAL_PASSWORDS.includes(password);
}
