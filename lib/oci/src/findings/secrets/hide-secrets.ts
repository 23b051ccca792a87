// An instruction of a build as reports may show it: what stands in it and is a secret is taken out, by form, by setting and in
// commands that set passwords. Reports are sent around, and kept longer than images.
import { isAssignedSecret } from './assigned-secrets.ts';
import { TOKEN_FORMATS } from './token-formats.ts';

const HIDDEN = '[secret]';
/** Instructions are shown in one line; of longer ones nobody sees the end. */
const MAX_SHOWN_CHARACTERS = 8192;

export function hideSecrets(instruction: string): string {
  let text = instruction.slice(0, MAX_SHOWN_CHARACTERS);
  for (const { pattern } of TOKEN_FORMATS) text = text.replaceAll(pattern, HIDDEN);
  // `-e` and `-c` of shells, URLs and times have colons too, so only where a password is set.
  if (/\bchpasswd\b/.test(text))
    text = text.replaceAll(/(^|["'\s]|\\n)([a-z_][\w.-]{0,31}):[^\s"'\\|;]{1,400}/gi, `$1$2:${HIDDEN}`);
  if (/\bpasswd\b/.test(text))
    text = text.replaceAll(/\b(echo|printf)\b[^|]{1,400}(\|[^|]{0,80}\bpasswd\b)/g, `$1 ${HIDDEN} $2`);
  if (/\b(?:useradd|usermod|adduser)\b/.test(text))
    text = text.replaceAll(/(\s(?:-p|--password)[ =])\s{0,8}(?:'[^']{0,400}'|"[^"]{0,400}"|\S{1,400})/g, `$1${HIDDEN}`);
  return text.replaceAll(
    /([A-Za-z_][\w.-]{0,79})=("[^"\n]{1,400}"|'[^'\n]{1,400}'|[^\s"']{1,400})/g,
    (all, name: string, value: string) => {
      const bare = value.replaceAll(/^["']|["']$/g, '');
      return isAssignedSecret(name, bare) ? `${name}=${HIDDEN}` : all;
    },
  );
}
