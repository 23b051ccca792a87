import * as fc from 'fast-check';
import { utf8 } from '@ringwall/bytes';
import { askWatch, startWatch, type WatchQuestion, type WatchRecord } from '@ringwall/evidence';
import { beforeEach, describe, expect, test } from 'vitest';
import { WATCH_SESSION_LIMITS, WatchSession, WatchSessionError, type WatchStep } from './watch-session.ts';

const INTERVAL_MS = 5_000;
const ANSWER = ['observed 2', 'quote 01 02', 'ima-log 0304', 'end'];

const record: WatchRecord = startWatch({
  machine: 'mch_aaaaaaaaaaaaaaaaaaaa',
  boot: '0123456789abcdef0123456789abcdef',
  akPublic: Uint8Array.of(1),
  pcrs: [],
  resetCount: 1,
  restartCount: 0,
  clock: 1n,
});

let nowMs = 0;
let asked: WatchQuestion[] = [];
let session: WatchSession;

beforeEach(() => {
  nowMs = 1_000_000;
  asked = [];
  session = new WatchSession({ intervalMs: () => INTERVAL_MS, now: () => nowMs, ask });
});

function ask(): WatchQuestion {
  const question = askWatch(record);
  asked.push(question);
  return question;
}

function say(...lines: readonly string[]): WatchStep[] {
  session.push(utf8(lines.map((line) => `${line}\n`).join('')));
  const steps: WatchStep[] = [];
  for (let step = session.next(); step !== undefined; step = session.next()) {
    steps.push(step);
    if (step.kind === 'judge') break;
  }
  return steps;
}

const kinds = (steps: readonly WatchStep[]): string[] => steps.map(({ kind }) => kind);

describe('WatchSession', () => {
  test('asks once somebody says that he is there, and hands a whole answer over to be judged', () => {
    expect(session.remainingMs).toBeUndefined();
    expect(say('ima-log 00', 'rubbish', 'end')).toEqual([]);
    expect(say('watch 1')).toEqual([{ kind: 'send', text: expect.stringMatching(/^observe [0-9a-f]{64} mch_/) }]);
    nowMs += 300;
    const [step] = say(...ANSWER);
    expect(step).toMatchObject({ kind: 'judge', question: asked[0], waitedMs: 300, answer: { more: false } });
  });

  test('asks again after the interval, and passes over whatever is said meanwhile', () => {
    say('watch 1', ...ANSWER);
    expect(session.judged('interval')).toBeUndefined();
    expect(say('watch 1', ...ANSWER, 'watch 1')).toEqual([]);
    expect(session.remainingMs).toBe(INTERVAL_MS);
    expect(session.tick()).toBeUndefined();
    nowMs += INTERVAL_MS;
    expect(session.tick()).toMatchObject({ kind: 'send' });
    expect(asked).toHaveLength(2);
    expect(asked[0]?.nonce).not.toEqual(asked[1]?.nonce);
  });

  test('asks on at once for a list that goes on, but not for ever', () => {
    say('watch 1', ...ANSWER);
    let rounds = 0;
    while (session.judged('at-once') !== undefined) {
      rounds += 1;
      say(...ANSWER);
    }
    expect(rounds).toBe(WATCH_SESSION_LIMITS.questionsInARow - 1);
    expect(session.state).toBe('idle');
  });

  test('what is left of an earlier answer is passed over until the one that was asked for begins', () => {
    say('watch 1');
    expect(kinds(say('ima-log 00', 'more', 'end', ...ANSWER))).toEqual(['judge']);
  });

  test('a guest that did not hear the question is asked anew, one that spoke at the same time is not', () => {
    say('watch 1');
    expect(say('watch 1')).toEqual([]);
    nowMs += WATCH_SESSION_LIMITS.unheardMs + 1;
    expect(kinds(say('watch 1'))).toEqual(['send']);
    expect(asked).toHaveLength(2);
  });

  test('gives up a question that nobody answers, and asks nobody until somebody is there', () => {
    say('watch 1', 'observed 0');
    nowMs += 30_000;
    expect(session.tick()).toEqual({ kind: 'nothing', reason: 'the guest gave no whole answer within 30 s' });
    expect(session.remainingMs).toBeUndefined();
    expect(kinds(say('quote 01 02', 'end', 'watch 1'))).toEqual(['send']);
  });

  test('an answer that breaks the grammar comes to nothing, and the next question waits until it is over', () => {
    say('watch 1');
    expect(say('observed 2', 'quote 01', 'ima-log 0304', 'end')).toEqual([
      { kind: 'nothing', reason: expect.stringContaining('malformed') },
    ]);
    expect(session.state).toBe('idle');
  });

  test('takes no line that is longer than any, and no more bytes than an answer can have', () => {
    session.push(utf8('a'.repeat(5_000)));
    expect(() => session.next()).toThrow(WatchSessionError);
    session = new WatchSession({ intervalMs: () => INTERVAL_MS, now: () => nowMs, ask });
    const chunk = utf8(`${'ab'.repeat(2000)}\n`.repeat(8));
    expect(() => {
      for (let count = 0; count < 100; count += 1) {
        session.push(chunk);
        session.next();
      }
    }).toThrow(WatchSessionError);
  });

  test('whatever is sent, it asks, hands over an answer, or says why not, and throws only its own error', () => {
    const words = fc.constantFrom(
      'watch 1',
      ...ANSWER,
      'more',
      'observed 0',
      'observed x',
      'quote 01 02',
      '\u0000',
      '',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 40 }), fc.array(fc.nat(20_000), { maxLength: 40 }), (lines, waits) => {
        session = new WatchSession({ intervalMs: () => INTERVAL_MS, now: () => nowMs, ask });
        for (const [index, line] of lines.entries()) {
          nowMs += waits[index] ?? 0;
          session.tick();
          const steps = say(line);
          expect(steps.length).toBeLessThanOrEqual(1);
          if (steps.at(-1)?.kind === 'judge') session.judged(index % 2 === 0 ? 'interval' : 'at-once');
        }
      }),
      { numRuns: 300 },
    );
  });
});
