// Tries guesses against a password's hash with the system's own libcrypt, as crypt(5) describes them: yescrypt, bcrypt,
// sha512crypt, and whatever else the host's logins would take. Asked through Perl, whose `crypt` is libcrypt's and which every
// Debian has. Hashes and guesses go by standard input, never by a command line, and the child has limits of its own: whoever
// made the hash chose how much time and memory one guess costs.
import { createHash } from 'node:crypto';
import { RingwallError } from '@ringwall/api/errors';
import type { Run } from '../exec/index.ts';

const PERL = '/usr/bin/perl';
const PRLIMIT = '/usr/bin/prlimit';
/** yescrypt as Debian sets it takes 16 MiB, the strongest that passwd(1) offers 1 GiB: that one is not tried. */
const GUESSER_MEMORY_BYTES: number = 192 * 1024 * 1024;
/** As root we give the child nobody's rights. */
const NOBODY = 65_534;
/** Processors that one password may take. */
const MAX_GUESSERS = 4;

/**
 * First line: the hash. Then a guess a line; all as hexadecimal. Answers `.` for each guess that failed, `!` for the one that
 * fits, `?` where libcrypt does not take the hash.
 */
const GUESSER = `
$| = 1; my $hash = <STDIN>; chomp $hash; $hash = pack "H*", $hash;
while (my $guess = <STDIN>) {
  chomp $guess; my $out = crypt(pack("H*", $guess), $hash);
  if (!defined $out || $out =~ /^\\*/) { print "?"; exit }
  if ($out eq $hash) { print "!"; exit }
  print ".";
}`;

export type GuessVerdict =
  | { readonly verdict: 'guessed'; readonly index: number }
  | { readonly verdict: 'withstood' }
  | { readonly verdict: 'untried'; readonly why: string; readonly tried: number };

/** Answers which guess fits, within the time. Throws RingwallError `host-lacks`. */
export async function guessPassword(
  run: Run,
  hash: string,
  guesses: readonly string[],
  timeoutMs: number,
): Promise<GuessVerdict> {
  const plain = guessSha1(hash, guesses);
  if (plain !== undefined) return plain;
  const count = Math.min(MAX_GUESSERS, guesses.length);
  const abort = new AbortController();
  // Guesser n of c takes every c-th guess: the most usual are tried first by all of them together.
  const hands = Array.from({ length: count }, async (_, hand) => {
    const own = guesses.flatMap((guess, index) => (index % count === hand ? [{ guess, index }] : []));
    const answers = await askGuesser(
      run,
      hash,
      own.map(({ guess }) => guess),
      timeoutMs,
      abort.signal,
    );
    const index = answers.endsWith('!') ? own[answers.length - 1]?.index : undefined;
    if (index !== undefined) abort.abort();
    return { answers, index };
  });
  const results = await Promise.all(hands);
  const index = results.find((result) => result.index !== undefined)?.index;
  if (index !== undefined) return { verdict: 'guessed', index };
  const tried = results.reduce((sum, { answers }) => sum + answers.replaceAll('?', '').length, 0);
  if (tried === guesses.length) return { verdict: 'withstood' };
  const refused = results.some(({ answers }) => answers.endsWith('?'));
  return { verdict: 'untried', why: refused ? 'this host’s libcrypt does not take it' : 'the time was over', tried };
}

/** What it said until it ended, or until its time did. */
async function askGuesser(
  run: Run,
  hash: string,
  guesses: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string> {
  let answers = '';
  const hex = (text: string, encoding: 'latin1' | 'utf8'): string => Buffer.from(text, encoding).toString('hex');
  const limits = [`--as=${String(GUESSER_MEMORY_BYTES)}`, '--core=0', '--fsize=0', '--nofile=16'];
  try {
    const { code, stderr } = await run([PRLIMIT, ...limits, '--', PERL, '-e', GUESSER], {
      input: `${[hex(hash, 'latin1'), ...guesses.map((guess) => hex(guess, 'utf8'))].join('\n')}\n`,
      timeoutMs,
      signal,
      onOutput: (chunk) => {
        answers += Buffer.from(chunk).toString('latin1');
      },
      ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    if (code === 127 || (code !== 0 && answers === ''))
      throw new RingwallError('host-lacks', `${PERL} does not try passwords: ${stderr.toString('utf8').slice(0, 200)}`);
  } catch (error) {
    if (!(error instanceof RingwallError) || error.code !== 'timeout') throw error;
  }
  return answers;
}

/** htpasswd -s: one SHA-1 without salt, which libcrypt has not. */
function guessSha1(hash: string, guesses: readonly string[]): GuessVerdict | undefined {
  if (!hash.startsWith('{SHA}')) return undefined;
  const index = guesses.findIndex((guess) => hash === `{SHA}${createHash('sha1').update(guess).digest('base64')}`);
  return index < 0 ? { verdict: 'withstood' } : { verdict: 'guessed', index };
}
