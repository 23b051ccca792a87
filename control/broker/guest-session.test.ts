import * as fc from 'fast-check';
import { newBootId, newMachineId } from '@ringwall/api';
import { toHex, utf8 } from '@ringwall/bytes';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  asciiSentence,
  GuestSession,
  refusalText,
  SESSION_LIMITS,
  SessionError,
  type SessionErrorCode,
  type SessionStep,
} from './guest-session.ts';

const machine = newMachineId();
const boot = newBootId();
const EVIDENCE = [
  'evidence',
  'ek-certificate 01',
  'ak-public 02',
  'boot-public 03',
  'certify 04 05',
  'quote 06 07',
  'event-log 08',
  'event-log 09',
  'end',
];

let nowMs = 0;
let nonces = 0;
let session: GuestSession;

beforeEach(() => {
  nowMs = 1_000_000;
  nonces = 0;
  session = makeSession();
});

function makeSession(): GuestSession {
  return new GuestSession({
    machine,
    boot,
    now: () => nowMs,
    makeNonce: () => new Uint8Array(32).fill((nonces += 1)),
  });
}

function say(...lines: readonly string[]): SessionStep[] {
  session.push(utf8(lines.map((line) => `${line}\n`).join('')));
  const steps: SessionStep[] = [];
  for (let step = session.next(); step !== undefined; step = session.next()) {
    steps.push(step);
    if (step.kind === 'judge') break;
  }
  return steps;
}

function codeOf(act: () => unknown): SessionErrorCode | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof SessionError) return error.code;
    throw error;
  }
  return undefined;
}

const nonceHex = (number: number): string => toHex(new Uint8Array(32).fill(number));

describe('GuestSession', () => {
  test('answers hello with a challenge for this machine and boot', () => {
    expect(say('hello 1')).toEqual([{ kind: 'send', text: `challenge ${nonceHex(1)} ${machine} ${boot}\n` }]);
  });

  test('makes nonces of 32 random bytes, never the same', () => {
    const seen = new Set<string>();
    for (let number = 0; number < 100; number += 1) {
      const fresh = new GuestSession({ machine, boot, now: () => 0 });
      fresh.push(utf8('hello 1\n'));
      const step = fresh.next();
      if (step?.kind !== 'send') throw new Error('no challenge');
      expect(step.text).toMatch(/^challenge [0-9a-f]{64} /);
      seen.add(step.text);
    }
    expect(seen.size).toBe(100);
  });

  test('hands evidence over to be judged with the challenge that it answers', () => {
    say('hello 1');
    const [step] = say(...EVIDENCE);
    expect(step).toEqual({
      kind: 'judge',
      challenge: { nonce: new Uint8Array(32).fill(1), machine, boot },
      evidence: {
        kind: 'vtpm',
        ekCertificate: Uint8Array.of(1),
        akPublic: Uint8Array.of(2),
        bootPublic: Uint8Array.of(3),
        certify: Uint8Array.of(4),
        certifySignature: Uint8Array.of(5),
        quote: Uint8Array.of(6),
        quoteSignature: Uint8Array.of(7),
        eventLog: Uint8Array.of(8, 9),
      },
    });
  });

  test('takes evidence byte by byte', () => {
    say('hello 1');
    let judged = 0;
    for (const byte of utf8(`${EVIDENCE.join('\n')}\n`)) {
      session.push(Uint8Array.of(byte));
      if (session.next()?.kind === 'judge') judged += 1;
    }
    expect(judged).toBe(1);
  });

  test('repeats the challenge while nothing of the answer has come, so that a hello too many does no harm', () => {
    expect(say('hello 1', 'hello 1')).toEqual(say('hello 1').flatMap((step) => [step, step]));
    expect(nonces).toBe(1);
  });

  test('makes another nonce once half of its lifetime is over', () => {
    say('hello 1');
    nowMs += SESSION_LIMITS.nonceLifetimeMs / 2;
    say('hello 1');
    expect(nonces).toBe(2);
    const [step] = say(...EVIDENCE);
    expect(step).toMatchObject({ challenge: { nonce: new Uint8Array(32).fill(2) } });
  });

  test.each([
    ['its first line', 1, 'evid'],
    ['a field', 5, 'certify 04 0'],
    ['the event log', 6, 'event-log 0'],
  ])('begins anew where evidence is broken off within %s', (_name, whole, torn) => {
    say('hello 1', ...EVIDENCE.slice(0, whole - 1));
    expect(say(`${torn}hello 1`)).toMatchObject([{ text: expect.stringMatching(/^challenge /) }]);
    expect(say(...EVIDENCE)).toMatchObject([{ kind: 'judge', challenge: { nonce: new Uint8Array(32).fill(nonces) } }]);
  });

  test('burns the nonce when a hello comes within the evidence, and begins anew', () => {
    say('hello 1', ...EVIDENCE.slice(0, 5));
    expect(say('hello 1')).toMatchObject([{ text: `challenge ${nonceHex(2)} ${machine} ${boot}\n` }]);
    // What was sent before is forgotten: evidence has to be whole again.
    expect(codeOf(() => say('quote 06 07'))).toBe('unexpected-line');
  });

  test('burns the nonce with the judgement, whatever it says', () => {
    say('hello 1', ...EVIDENCE);
    session.released();
    expect(codeOf(() => say(...EVIDENCE))).toBe('unexpected-line');
    session = makeSession();
    say('hello 1', ...EVIDENCE);
    session.released();
    expect(say('hello 1')).toMatchObject([{ text: `challenge ${nonceHex(nonces)} ${machine} ${boot}\n` }]);
    expect(nonces).toBe(3);
  });

  test('refuses evidence after the nonce has expired', () => {
    say('hello 1', ...EVIDENCE.slice(0, -1));
    nowMs += SESSION_LIMITS.nonceLifetimeMs + 1;
    expect(codeOf(() => say('end'))).toBe('nonce-expired');
    expect(session.state).toBe('over');
    session = makeSession();
    say('hello 1', ...EVIDENCE.slice(0, -1));
    nowMs += SESSION_LIMITS.nonceLifetimeMs;
    expect(say('end')).toMatchObject([{ kind: 'judge' }]);
  });

  test('refuses to go on while evidence is judged', () => {
    say('hello 1', ...EVIDENCE);
    expect(() => session.next()).toThrow(TypeError);
  });

  test('takes the report of a release, and nothing after it', () => {
    const digest = '0a'.repeat(32);
    say('hello 1', ...EVIDENCE);
    session.released();
    expect(say(`unlocked formatted ${digest}`, 'hello 1')).toEqual([
      { kind: 'unlocked', how: 'formatted', activation: new Uint8Array(32).fill(10) },
    ]);
    expect(session.state).toBe('over');
    expect(say('hello 1')).toEqual([]);
  });

  test('says how long the guest may still take, for each thing that it awaits', () => {
    expect(session.remainingMs).toBe(SESSION_LIMITS.helloTimeoutMs);
    say('hello 1');
    nowMs += 20_000;
    expect(session.remainingMs).toBe(40_000);
    say(...EVIDENCE.slice(0, 3));
    expect(session.remainingMs).toBe(40_000);
    say(...EVIDENCE.slice(3));
    expect(session.remainingMs).toBeUndefined();
    session.released();
    expect(session.remainingMs).toBe(SESSION_LIMITS.unlockTimeoutMs);
    expect(session.tooLate()).toMatchObject({ code: 'too-late' });
    expect(session.remainingMs).toBeUndefined();
  });

  const digest = 'ab'.repeat(32);
  const refused: [string, SessionErrorCode, readonly string[]][] = [
    ['another version', 'unknown-version', ['hello 2']],
    ['hello without a version', 'unknown-version', ['hello']],
    ['hello with more', 'unknown-version', ['hello 1 ']],
    ['a sentence before hello', 'unexpected-line', ['let me in']],
    ['evidence that was not announced', 'unexpected-line', ['hello 1', 'ek-certificate 01']],
    ['a report before a release', 'unexpected-line', ['hello 1', `unlocked opened ${digest}`]],
    ['fields in another order', 'unexpected-line', ['hello 1', 'evidence', 'ak-public 02']],
    ['a field twice', 'unexpected-line', ['hello 1', ...EVIDENCE.slice(0, 2), 'ek-certificate 01']],
    ['a missing field', 'unexpected-line', ['hello 1', ...EVIDENCE.slice(0, 5), 'end']],
    ['no event log', 'unexpected-line', ['hello 1', ...EVIDENCE.slice(0, 6), 'end']],
    ['an unknown field', 'unexpected-line', ['hello 1', 'evidence', 'tpm-version 2']],
    ['no value', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate']],
    ['an empty value', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate ']],
    ['two spaces', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate  01']],
    ['two values for one', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate 01 02']],
    ['one value for two', 'malformed-line', ['hello 1', ...EVIDENCE.slice(0, 4), 'certify 04']],
    ['upper case', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate AB']],
    ['half a byte', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate 012']],
    ['base64', 'malformed-line', ['hello 1', 'evidence', 'ek-certificate AQID']],
    ['a carriage return', 'not-text', ['hello 1\r']],
    ['a long event log line', 'malformed-line', ['hello 1', ...EVIDENCE.slice(0, 6), `event-log ${'00'.repeat(1025)}`]],
    ['a line over the limit', 'line-too-long', ['hello 1', `evidence ${'0'.repeat(4096)}`]],
    ['a long failure', 'malformed-line', ['hello 1', `failed ${'x'.repeat(1025)}`]],
    ['too many lines', 'too-many-lines', Array.from({ length: 513 }, () => 'hello 1')],
    ['too many bytes', 'too-many-bytes', Array.from({ length: 70 }, () => 'a'.repeat(4000))],
  ];
  test.each(refused)('refuses %s', (_name, code, lines) => {
    expect(codeOf(() => say(...lines))).toBe(code);
    expect(session.state).toBe('over');
    expect(session.next()).toBeUndefined();
  });

  const reports: [string, string][] = [
    ['without a digest', 'unlocked opened'],
    ['with a short digest', 'unlocked opened abcd'],
    ['of something else', `unlocked closed ${digest}`],
    ['with more', `unlocked opened ${digest} 00`],
    ['in upper case', `unlocked opened ${digest.toUpperCase()}`],
  ];
  test.each(reports)('refuses a report %s', (_name, line) => {
    say('hello 1', ...EVIDENCE);
    session.released();
    expect(codeOf(() => say(line))).toBe('malformed-line');
  });

  test('refuses evidence a ninth time in one session', () => {
    for (let turn = 0; turn < SESSION_LIMITS.judgements; turn += 1) {
      expect(say('hello 1', ...EVIDENCE)).toMatchObject([{ kind: 'send' }, { kind: 'judge' }]);
      session.released();
    }
    expect(codeOf(() => say('hello 1', ...EVIDENCE))).toBe('too-many-judgements');
  });

  test('takes nothing more from a chunk than its limits, however large it is', () => {
    expect(codeOf(() => session.push(new Uint8Array(SESSION_LIMITS.totalBytes + 1)))).toBe('too-many-bytes');
    expect(session.next()).toBeUndefined();
  });

  test('throws nothing but SessionError, whatever comes', () => {
    const piece = fc.oneof(
      fc.constantFrom(...EVIDENCE, 'hello 1', 'failed x', `unlocked opened ${digest}`).map((line) => utf8(`${line}\n`)),
      fc.uint8Array({ maxLength: 200 }),
      fc.string().map((text) => utf8(text)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        session = makeSession();
        const code = codeOf(() => {
          for (const bytes of pieces) {
            session.push(bytes);
            for (let step = session.next(); step !== undefined; step = session.next()) {
              if (step.kind === 'judge') session.released();
            }
          }
        });
        expect(code === undefined || session.state === 'over').toBe(true);
      }),
    );
  });
});

describe('refusalText()', () => {
  test('is lines of printable ASCII, however many and long the reasons are', () => {
    const text = refusalText([
      ...Array.from({ length: 100 }, () => `kernel: measured ab12…, expected\n\u001b[31m ${'x'.repeat(5000)}`),
    ]);
    const lines = text.split('\n');
    expect(lines.at(0)).toBe('refused');
    expect(lines.slice(-2)).toEqual(['end', '']);
    expect(lines.length).toBeLessThanOrEqual(64);
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]{0,1100}$/);
  });

  test('asciiSentence() keeps what can be kept', () => {
    expect(asciiSentence('PCR 4: ab12…, not “cd” or é')).toBe('PCR 4: ab12..., not "cd" or ?');
  });
});
