// The kinds of hash in the second field of /etc/shadow, as crypt(5) lists them, and how much work each is for who guesses.

export type PasswordStrength =
  | 'empty' // no password is asked for
  | 'broken' // all usual passwords in seconds
  | 'weak' // billions of guesses in a second
  | 'fair'
  | 'strong' // slow and large in memory by design
  | 'locked'; // no password fits

export interface PasswordKind {
  readonly name: string;
  readonly strength: PasswordStrength;
}

const PREFIXES: readonly (readonly [string, PasswordKind])[] = [
  ['$y$', { name: 'yescrypt', strength: 'strong' }],
  ['$gy$', { name: 'gost-yescrypt', strength: 'strong' }],
  ['$7$', { name: 'scrypt', strength: 'strong' }],
  ['$2a$', { name: 'bcrypt', strength: 'strong' }],
  ['$2b$', { name: 'bcrypt', strength: 'strong' }],
  ['$2y$', { name: 'bcrypt', strength: 'strong' }],
  ['$2x$', { name: 'bcrypt of a faulty implementation', strength: 'weak' }],
  ['$6$', { name: 'sha512crypt', strength: 'fair' }],
  ['$5$', { name: 'sha256crypt', strength: 'fair' }],
  ['$sha1$', { name: 'sha1crypt', strength: 'weak' }],
  ['$md5', { name: 'SunMD5', strength: 'weak' }],
  ['$1$', { name: 'md5crypt', strength: 'weak' }],
  ['$3$', { name: 'NT hash', strength: 'broken' }],
  ['_', { name: 'bsdicrypt', strength: 'broken' }],
];

/** Of a whole field as it is written; '!' and '*' before a hash lock an account, and the hash can be guessed all the same. */
export function passwordKind(field: string): PasswordKind {
  if (field === '') return { name: 'no password', strength: 'empty' };
  const hash = field.replace(/^!+/, '');
  if (hash === '' || hash.startsWith('*') || hash === 'x') return { name: 'locked', strength: 'locked' };
  const known = PREFIXES.find(([prefix]) => hash.startsWith(prefix));
  if (known !== undefined) return known[1];
  if (/^[./0-9A-Za-z]{13}$/.test(hash)) return { name: 'descrypt', strength: 'broken' };
  return { name: 'no hash that is known', strength: 'locked' };
}
