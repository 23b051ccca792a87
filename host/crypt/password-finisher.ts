// Finishes the facts of passwords: tries each hash within a budget, and says how it went. A hash is tried once, however many
// layers carry it, and is remembered by its digest.
import { createHash } from 'node:crypto';
import {
  guessesFor,
  LOGIN_INSPECTOR_ID,
  untriedPassword,
  withVerdict,
  type Fact,
  type FactFinisher,
} from '@ringwall/oci';
import type { Run } from '../exec/index.ts';
import { guessPassword, type GuessVerdict } from './guess.ts';

/** All guesses against one yescrypt hash as Debian makes it, on four processors. */
const DEFAULT_HASH_MS = 4_000;
/** Somebody waits. What it does not suffice for is told as not tried. */
const DEFAULT_IMAGE_MS = 12_000;

export interface PasswordBudget {
  readonly hashMs?: number;
  /** Of all that this finisher is given. */
  readonly imageMs?: number;
}

export function passwordFinisher(run: Run, budget: PasswordBudget = {}): FactFinisher {
  const { hashMs = DEFAULT_HASH_MS, imageMs = DEFAULT_IMAGE_MS } = budget;
  const known = new Map<string, Promise<GuessVerdict>>();
  let leftMs = imageMs;
  /** One hash after the other: each takes all processors that it may. */
  let turn: Promise<unknown> = Promise.resolve();

  const guess = (hash: string, guesses: readonly string[]): Promise<GuessVerdict> => {
    const next = turn.then(async (): Promise<GuessVerdict> => {
      if (leftMs <= 0) return { verdict: 'untried', why: 'the time for passwords was over', tried: 0 };
      const started = performance.now();
      try {
        return await guessPassword(run, hash, guesses, Math.min(hashMs, leftMs));
      } finally {
        leftMs -= performance.now() - started;
      }
    });
    turn = next.catch(() => undefined);
    return next;
  };
  return {
    inspector: LOGIN_INSPECTOR_ID,
    id: `crypt/1/${String(hashMs)}/${String(imageMs)}`,
    finish: (facts) =>
      Promise.all(
        facts.map(async (fact) => {
          const untried = untriedPassword(fact.value);
          if (untried === undefined) return fact;
          const { account, hash } = untried;
          const guesses = guessesFor(account);
          const key = createHash('sha256').update(`${account}\0${hash}`).digest('base64');
          const trying =
            known.get(key) ??
            guess(
              hash,
              guesses.map(({ password }) => password),
            );
          known.set(key, trying);
          return finished(fact, await trying, guesses);
        }),
      ),
  };
}

function finished(fact: Fact, result: GuessVerdict, guesses: ReturnType<typeof guessesFor>): Fact {
  const { verdict } = result;
  const how = verdict === 'guessed' ? (guesses[result.index]?.told ?? '') : verdict === 'untried' ? result.why : '';
  const tried = verdict === 'untried' ? result.tried : guesses.length;
  return { ...fact, value: withVerdict(fact.value, { verdict, how, tried }) };
}
