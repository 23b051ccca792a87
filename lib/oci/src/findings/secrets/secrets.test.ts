import { describe, expect, it } from 'vitest';
import { judgeMade, ROOMY } from '../../../testing/make-image.ts';
import { lookAlikes, randomText, trueSecrets, withCrc32, type CorpusFile } from '../../../testing/secret-corpus.ts';
import type { Finding } from '../../inspection/finding.ts';
import { findAssignedSecrets, isAssignedSecret } from './assigned-secrets.ts';
import { findSecrets } from './find-secrets.ts';
import { secretInspector } from './secret-inspector.ts';
import { judgeSecrets } from './secret-rules.ts';
import { crc32, entropyOf, hasCrc32Suffix, holdsKey, isBech32 } from './token-checksums.ts';
import { TOKEN_FORMATS } from './token-formats.ts';
import { RUNAWAY_MS, startProcessorClock } from '../../../../bytes/testing/processor-time.ts';

/** What the corpus reached when it was written, and shall not fall below. */
const LEAST_RECALL = 0.98;
const LEAST_PRECISION = 0.99;
const ROUNDS = 15;

const judgeFile = ({ path, content }: Pick<CorpusFile, 'path' | 'content'>): readonly Finding[] =>
  judgeMade({ layers: [{ [path]: content }], inspectors: [secretInspector] }, [judgeSecrets]);

describe('the corpus of secrets', () => {
  it('is told with few misses and few false alarms', () => {
    const real = trueSecrets(ROUNDS);
    const alike = lookAlikes(ROUNDS);
    const missed = real.filter((file) => judgeFile(file).length === 0);
    const alarms = alike.filter((file) => judgeFile(file).length > 0);
    const hits = real.length - missed.length;
    const recall = hits / real.length;
    const precision = hits / (hits + alarms.length);
    console.log(
      `secrets: ${String(real.length)} true, ${String(missed.length)} missed; ${String(alike.length)} look-alikes, ` +
        `${String(alarms.length)} false alarms; precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}`,
    );
    expect(recall, String(missed.map(({ what, content }) => `${what}: ${content}`))).toBeGreaterThanOrEqual(
      LEAST_RECALL,
    );
    expect(precision, String(alarms.map(({ what, content }) => `${what}: ${content}`))).toBeGreaterThanOrEqual(
      LEAST_PRECISION,
    );
  });

  it('is told without any part of a secret, in facts and findings', () => {
    for (const file of trueSecrets(1)) {
      const told = JSON.stringify([
        judgeFile(file),
        secretInspector.inspect(
          { ...ENTRY, path: file.path, bytes: file.content.length },
          new TextEncoder().encode(file.content),
          ROOMY,
        ),
      ]);
      for (const secret of file.secrets) {
        // Parts with a digit: names of settings are told, and may be in the text around.
        const parts = Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8));
        expect(
          parts.filter((part) => /\d/.test(part) && told.includes(part)),
          file.what,
        ).toEqual([]);
      }
    }
  });
});

describe('judgeSecrets()', () => {
  const secret = withCrc32('ghp_');

  it('names the layer that brought a file, though a later one deleted it', () => {
    const [finding] = judgeMade(
      {
        layers: [{ 'app/x': '' }, { 'app/token': `x\n${secret}\n` }, { 'app/.wh.token': '' }],
        inspectors: [secretInspector],
      },
      [judgeSecrets],
    );
    expect(finding).toMatchObject({
      rule: 'secret-in-file',
      layer: 1,
      hiddenBy: 2,
      path: 'app/token',
      subject: 'github-token',
    });
    expect(finding?.message).toBe(
      '“app/token”, line 2: a token of GitHub; a later layer deleted or replaced the file, and the image still has it',
    );
  });

  it('tells a file once that a later layer wrote anew', () => {
    const layers = [{ 'app/token': secret }, { 'app/token': `${secret}\n` }];
    const findings = judgeMade({ layers, inspectors: [secretInspector] }, [judgeSecrets]);
    expect(findings.map(({ layer, hiddenBy }) => [layer, hiddenBy])).toEqual([[0, undefined]]);
  });

  it('reads environment, labels and history', () => {
    const password = 'Vx7-kq2-Lm9';
    const config = {
      env: [`DB_PASSWORD=${password}`, `GH=${secret}`, 'PATH=/usr/bin', 'TOKEN_FILE=/run/x1', 'broken'],
      labels: { key: secret, 'org.opencontainers.image.revision': 'da39a3ee5e6b4b0d3255bfef95601890afd80709' },
      history: [
        { createdBy: `RUN git clone https://x:${secret}@github.com/a/b # buildkit`, emptyLayer: false, created: '' },
      ],
    };
    const findings = judgeMade({ layers: [{}], config, inspectors: [] }, [judgeSecrets]);
    expect(findings.map(({ rule, subject, layer }) => [rule, subject, layer])).toEqual([
      ['secret-in-configuration', 'ENV DB_PASSWORD', undefined],
      ['secret-in-configuration', 'ENV GH', undefined],
      ['secret-in-configuration', 'LABEL key', undefined],
      ['secret-in-history', 'github-token', 0],
      ['secret-in-history', 'password-in-url', 0],
    ]);
    expect(JSON.stringify(findings)).not.toMatch(new RegExp(`${password}|${secret}`));
  });
});

describe('the checks of tokens', () => {
  it('know published ones', () => {
    expect(crc32('123456789')).toBe(0xcbf43926);
    // From GitHub's and age's own documentation.
    expect(hasCrc32Suffix('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', 'ghp_')).toBe(true);
    expect(isBech32('AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU')).toBe(true);
    expect(entropyOf('aaaa')).toBe(0);
    expect(entropyOf('abcd')).toBe(2);
  });

  it('refuse every token with one character changed', () => {
    const token = withCrc32('ghp_');
    for (let at = 4; at < token.length; at += 1) {
      const other = token[at] === 'a' ? 'b' : 'a';
      expect(hasCrc32Suffix(token.slice(0, at) + other + token.slice(at + 1), 'ghp_'), String(at)).toBe(false);
    }
    const age = 'AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU';
    for (let at = 16; at < age.length; at += 1) {
      const other = age[at] === 'Q' ? 'P' : 'Q';
      expect(isBech32(age.slice(0, at) + other + age.slice(at + 1)), String(at)).toBe(false);
    }
  });

  it('refuse every truncation of a key', () => {
    const pem = trueSecrets(1).find(({ what }) => what === 'EC key')?.content ?? '';
    const body = pem.split('\n').slice(1, -2).join('\n');
    expect(holdsKey('EC', body)).toBe(true);
    for (let length = 0; length < body.trimEnd().length - 2; length += 1)
      expect(holdsKey('EC', body.slice(0, length))).toBe(false);
  });
});

describe('isAssignedSecret()', () => {
  it.each([
    ['DB_PASSWORD', 'k3Fq-9zLw2', true],
    ['apiKey', 'c8d1f0a9b7e64523', true],
    ['spring.datasource.password', 'Winter!7 x'.replace(' ', ''), true],
    ['DB_PASSWORD', 'changeme', false],
    ['DB_PASSWORD', '${OTHER}', false],
    ['DB_PASSWORD_FILE', '/run/secrets/x1', false],
    ['password_hash', 'c8d1f0a9b7e64523', false],
    ['max_tokens', '4096-8192', false],
    ['token', '7b0bd2a4-7f9e-4a7e-9f6d-2f4f2f8a3b11', false],
    ['secret', 'kubernetes-secret', false],
    ['monkey', 'k3Fq-9zLw2', false],
  ])('says of %s=%s %s', (name, value, expected) => {
    expect(isAssignedSecret(name, value)).toBe(expected);
  });
});

it.each([
  ['beginnings of keys', '-----BEGIN PRIVATE KEY-----'],
  ['beginnings of keys, and more', '-----BEGIN PRIVATE KEY-----\nAAAA'],
  ['AWS keys', 'AKIAAAAAAAAAAAAAAAAA '],
  ['AWS keys with near secrets', `AKIAAAAAAAAAAAAAAAAA ${'a'.repeat(39)} `],
  ['JWT', '-eyJ'],
  ['words', 'token '],
  ['assignments', 'token=aaaaaaaa1B;'],
  ['colons', 'a:'],
  ['URLs', 'https://a:'],
  ['quotes', `password="`],
  ['spaces', 'password = '],
  ['line ends', '\n'],
  ['one word', 'a'],
  ['OpenAI keys', 'sk-aaaa-'],
])('a file of %s takes no longer', (_what, unit) => {
  const text = unit.repeat(Math.ceil(262_144 / unit.length));
  const spent = startProcessorClock();
  findSecrets(text, { assignments: 'any' });
  findAssignedSecrets(text, { quotedOnly: true });
  expect(spent()).toBeLessThan(RUNAWAY_MS);
});

it('formats have ids of their own, and search for all that a file has', () => {
  expect(new Set(TOKEN_FORMATS.map(({ id }) => id)).size).toBe(TOKEN_FORMATS.length);
  for (const { pattern } of TOKEN_FORMATS) expect(pattern.flags).toContain('g');
  expect(findSecrets(`${withCrc32('ghp_')} ${randomText('ab', 9)}\n${withCrc32('gho_')}`, {})).toEqual([
    { kind: 'github-token', name: '', line: 1, count: 2 },
  ]);
});

const ENTRY = {
  path: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  userName: '',
  groupName: '',
  bytes: 0,
  modified: 0,
  target: '',
  attributes: new Map<string, string>(),
  isSparse: false,
  hazards: [],
} as const;
