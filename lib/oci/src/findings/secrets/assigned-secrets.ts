// Secrets by the name that they are given to: `DB_PASSWORD=…` in the settings of an application. Names promise much, so the
// value is looked at as well: references, placeholders, paths and words are none.
import { entropyOf } from './token-checksums.ts';

/** Longer lines are data. */
const MAX_LINE_CHARACTERS = 2000;
const MAX_LINES = 20_000;
const MIN_VALUE_CHARACTERS = 8;
const MAX_VALUE_CHARACTERS = 400;

const SECRET_NAME =
  /passw(?:or)?d|passphrase|secret|token|api_?key|apikey|private_?key|access_?key|auth_?key|encryption_?key|signing_?key|credential|_pass$|^pass$|_pwd$|^pwd$/i;
/** What every such name has in it: lines without are passed over. */
const SECRET_WORD =
  /pass|pwd|secret|token|credential|api_?key|private_?key|access_?key|auth_?key|encryption_?key|signing_?key/i;
/** Names that speak of secrets and hold none. */
const NO_SECRET_NAME =
  /(?:hash|digest|checksum|sha\d*|md5|fingerprint|public|(?:^|[_.-])id|name|file|path|dir|url|uri|endpoint|host|type|kind|length|size|count|max|min|expir\w*|ttl|lifetime|timeout|algorithm|header|field|label|prefix|suffix|regexp?|pattern|format|policy|rotat\w*|version|issuer|audience|enabled?|required|method|tokenizer|tokens|mount|ref|store|backend|provider|class|message|error|hint|prompt|column|param(?:eter)?)$/i;
const PLACEHOLDER =
  /change|replace|example|sample|your|placeholder|dummy|fake|mock|todo|fixme|redacted|insert|enter|xxx|\*\*\*|\.\.\.|none|null|undefined|default|password|passwd|secret|test|demo|foo|bar|lorem|hunter2|not[-_ ]?set|same[-_ ]?as|12345|abcdef/i;
const REFERENCE =
  /^(?:[$%@<!&*~]|\{\{|\.{0,2}\/|[a-z]+:\/\/|env[:.(]|vault[:(]|enc[[:(]|arn:|secret[:/]|file:|data:|process\.env|os\.environ|sha\d{3}-|[A-Z]:\\)/i;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** A name is taken whole or not at all: texts of one word without end would be gone through again from each of its letters. */
const ASSIGNMENT =
  /(?<![\w.]|[\w.]-)([A-Za-z_][\w.-]{0,79})(?![\w.-])["']?[ \t]{0,20}(?:=>|:=|=|:)[ \t]{0,20}(?:"([^"\n]{0,400})"|'([^'\n]{0,400})'|([^\s"'#;,]{1,400}))/g;

/** Names whose values look like secrets, each once, with the line where it stands. `quotedOnly` for programs, where the rest is code. */
export function findAssignedSecrets(
  text: string,
  { quotedOnly }: { readonly quotedOnly: boolean },
): readonly { readonly name: string; readonly line: number }[] {
  if (!SECRET_WORD.test(text)) return [];
  const found = new Map<string, number>();
  for (const [index, line] of text.split('\n', MAX_LINES).entries()) {
    if (line.length > MAX_LINE_CHARACTERS || !SECRET_WORD.test(line) || /^[ \t]*(?:#|\/\/|\*|;|<!--)/.test(line))
      continue;
    for (const [, name = '', double, single, bare] of line.matchAll(ASSIGNMENT)) {
      const value = double ?? single ?? (quotedOnly ? undefined : bare);
      if (value !== undefined && !found.has(name) && isAssignedSecret(name, value)) found.set(name, index + 1);
    }
  }
  return [...found].map(([name, line]) => ({ name, line }));
}

/** Whether a setting of this name and value is a secret. */
export function isAssignedSecret(name: string, value: string): boolean {
  if (!SECRET_NAME.test(name) || NO_SECRET_NAME.test(name)) return false;
  if (value.length < MIN_VALUE_CHARACTERS || value.length > MAX_VALUE_CHARACTERS) return false;
  if (REFERENCE.test(value) || PLACEHOLDER.test(value) || UUID.test(value) || /[\s(){}<>]|\$\{/.test(value))
    return false;
  if (value.toLowerCase().includes(name.toLowerCase())) return false;
  const classes = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((one) => one.test(value)).length;
  // Words, names of other settings, dates, numbers: of one class, or made of words and one separator.
  if (classes < 2 || /^[a-z]+(?:[_.:/-][a-z]+)*$/i.test(value) || /^[\d.:/-]+$/.test(value)) return false;
  return entropyOf(value) >= (value.length >= 20 ? 3.2 : 2.75) && /\d/.test(value);
}
