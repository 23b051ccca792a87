import { describe, expect, it } from 'vitest';
import { LINUX_CONFIG, makeImage } from '../../testing/make-image.ts';
import type { Ancestry, KnownImage } from '../inheritance/ancestors.ts';
import type { Finding } from '../inspection/finding.ts';
import { OciError } from '../oci-error.ts';
import { renderHtml } from './html.ts';
import { reportStyle } from './page.ts';
import { parseIgnoreList, type IgnoreEntry } from './ignore-list.ts';
import { instructionOf } from './instruction.ts';
import { renderJunit } from './junit.ts';
import { renderSarif } from './sarif.ts';
import { compileReport, fails, type ScanReport } from './scan-report.ts';

const EVIL = `"><script>alert(1)</script>\u202e\u0000]]>&'`;
const finding = (changes: Partial<Finding> = {}): Finding => ({
  rule: 'weak-login',
  severity: 'high',
  message: 'root has the password “root”',
  fix: 'take it out',
  path: 'etc/shadow',
  layer: 0,
  hiddenBy: undefined,
  references: ['CWE-521'],
  subject: 'root',
  ...changes,
});
const NO_ANCESTRY: Ancestry = { ancestors: [], doubts: [] };
const NOW = new Date('2026-11-21T12:00:00Z');

function reportOf(
  findings: readonly Finding[],
  {
    ignore = [],
    ancestry = NO_ANCESTRY,
    known = [],
  }: { ignore?: IgnoreEntry[]; ancestry?: Ancestry; known?: KnownImage[] } = {},
): ScanReport {
  const image = makeImage({
    layers: [{}, {}],
    createdBy: ['ADD rootfs', `RUN ${EVIL}`],
    config: LINUX_CONFIG,
    inspectors: [],
  });
  return compileReport({
    subject: `app${EVIL}`,
    digest: '',
    image,
    findings,
    ancestry,
    known,
    ignore,
    notes: [EVIL],
    signed: EVIL,
    now: NOW,
  });
}

const entry = (changes: Partial<IgnoreEntry> = {}): IgnoreEntry => ({
  rule: 'weak-login',
  path: 'etc/shadow',
  subject: '',
  reason: 'a test image',
  until: '2026-11-21',
  ...changes,
});

describe('compileReport()', () => {
  it('blames the ancestor that brought a layer, and names the newer one that fixes most', () => {
    const base = (name: string, created: string, findings: string[]): KnownImage => ({
      name,
      digest: '',
      diffIds: ['x'],
      created,
      findings,
    });
    const ancestry: Ancestry = { ancestors: [{ name: 'debian:12.1', basis: 'layers', layers: 1 }], doubts: [] };
    const known = [
      base('debian:12.1', '2025', ['weak-login@etc/shadow#root']),
      base('debian:12.2', '2026', ['weak-login@etc/shadow#root']),
      base('debian:12.3', '2027', []),
      base('other:1', '2028', []),
    ];
    const { findings, remedies } = reportOf([finding(), finding({ layer: 1, path: 'x' })], { ancestry, known });
    expect(findings.map(({ inheritedFrom, id }) => [inheritedFrom, id])).toEqual([
      ['debian:12.1', 'weak-login@etc/shadow#root'],
      ['', 'weak-login@x#root'],
    ]);
    expect(remedies).toEqual([
      { change: 'build on debian:12.3 instead of debian:12.1', findings: 1 },
      { change: 'take it out', findings: 1 },
    ]);
  });

  it('fails on what is as bad as asked', () => {
    const report = reportOf([finding({ severity: 'medium' })]);
    expect([fails(report, 'high'), fails(report, 'medium'), fails(report, 'low')]).toEqual([false, true, true]);
  });

  it('heeds an ignore list on its last day, and not after; says what is of no finding', () => {
    const expired = entry({ until: '2026-11-20' });
    expect(reportOf([finding()], { ignore: [expired] })).toMatchObject({
      findings: [{}],
      ignored: [],
      expired: [expired],
    });
    expect(reportOf([finding()], { ignore: [entry()] })).toMatchObject({ findings: [], ignored: [{}], expired: [] });
    const others = [entry({ path: 'etc/passwd' }), entry({ subject: 'daemon' }), entry({ rule: 'other', path: '' })];
    expect(reportOf([finding()], { ignore: others })).toMatchObject({ findings: [{}], unused: others });
  });
});

describe('parseIgnoreList()', () => {
  const parse = (list: unknown): unknown => parseIgnoreList(new TextEncoder().encode(JSON.stringify(list)));

  it('reads entries, with paths from the root', () => {
    expect(parse({ ignore: [{ ...entry(), path: '/etc/shadow' }] })).toEqual([entry()]);
  });

  it.each<[what: string, list: unknown]>([
    ['no reason', { ignore: [entry({ reason: ' ' })] }],
    ['no rule', { ignore: [entry({ rule: '' })] }],
    ['no last day', { ignore: [entry({ until: 'never' })] }],
    ['a day that is none', { ignore: [entry({ until: '2026-13-45' })] }],
    ['a slip of the pen', { ignore: [{ ...entry(), pth: 'x' }] }],
    ['another list', { ignored: [] }],
    ['a list', []],
    ['a path that is a number', { ignore: [{ ...entry(), path: 1 }] }],
  ])('refuses %s', (_what, list) => {
    expect(() => parse(list)).toThrow(OciError);
  });
});

describe('renderSarif()', () => {
  const findings = [
    finding(),
    finding({ path: '', severity: 'info' }),
    finding({ path: `a/ü ${EVIL}\ud800/c:d`, subject: EVIL }),
  ];

  it('is what SARIF 2.1.0 wants of a log, with stable fingerprints and suppressions', () => {
    const log: unknown = JSON.parse(
      renderSarif(reportOf(findings, { ignore: [entry({ path: '', subject: 'root' })] }), '1.2.3'),
    );
    expect(log).toMatchObject({
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: {
              name: 'ringwall',
              version: '1.2.3',
              rules: [{ id: 'weak-login', properties: { 'security-severity': '8.0' } }],
            },
          },
          results: [
            { ruleId: 'weak-login', ruleIndex: 0, level: 'error' },
            {
              suppressions: [{ kind: 'external', status: 'accepted', justification: 'a test image' }],
              partialFingerprints: { 'ringwall/1': 'weak-login@etc/shadow#root' },
            },
            { level: 'note' },
          ],
        },
      ],
    });
  });

  it('has paths that are references of RFC 3986, whatever bytes an image has', () => {
    const uris = [...renderSarif(reportOf(findings), '1').matchAll(/"uri": "(.*)"/g)].map(([, uri = '']) => uri);
    expect(uris.length).toBe(3);
    for (const uri of uris)
      expect(uri).toMatch(/^(?:[\w!'()*.~-]|%[0-9A-F]{2})+(?:\/(?:[\w!'()*.~-]|%[0-9A-F]{2})+)*$/);
  });
});

describe('renderHtml()', () => {
  const page = renderHtml(
    reportOf([finding({ message: EVIL, path: EVIL, fix: EVIL, subject: EVIL, references: [EVIL] })], {
      ancestry: { ancestors: [{ name: EVIL, basis: 'history', layers: 1 }], doubts: [EVIL] },
    }),
    'sha256-x',
  );

  it('lets nothing of the image become markup', () => {
    expect(page).not.toContain('<script');
    for (const odd of ['\u202e', '\u0000']) expect(page).not.toContain(odd);
    const tags = [...page.matchAll(/<(\/?[a-z!][a-z0-9]*)/g)].map(([, tag]) => tag);
    expect(new Set(tags.filter((tag) => tag?.startsWith('/') !== true))).toEqual(
      new Set([
        '!doctype',
        'html',
        'head',
        'meta',
        'title',
        'style',
        'body',
        'h1',
        'h2',
        'p',
        'b',
        'ul',
        'li',
        'i',
        'span',
        'code',
        'br',
      ]),
    );
  });

  it('lets a browser load and run nothing', () => {
    expect(page).toContain(`content="default-src 'none'; style-src 'sha256-x'; base-uri 'none'; form-action 'none'"`);
    expect(page).toContain(`<style>${reportStyle()}</style>`);
    expect(page).not.toMatch(/\ssrc=|\shref=|\son[a-z]+="/);
  });
});

describe('renderJunit()', () => {
  it('counts what fails, and escapes what an image says', () => {
    const report = reportOf([finding({ message: EVIL, path: EVIL }), finding({ severity: 'low' })]);
    const xml = renderJunit(report, 'medium');
    expect(xml).toContain('tests="2" failures="1"');
    expect(xml).not.toContain('<script');
    expect(xml).not.toContain('\u0000');
    expect(renderJunit(report, undefined)).toContain('failures="0"');
    expect(renderJunit(reportOf([]), 'high')).toContain('tests="1" failures="0"');
  });
});

describe('instructionOf()', () => {
  it.each([
    ['/bin/sh -c #(nop) ADD file:1 in / ', 'ADD file:1 in /'],
    ['/bin/sh -c apt-get update', 'RUN apt-get update'],
    ['RUN /bin/sh -c apt-get update # buildkit', 'RUN apt-get update'],
    ['RUN |1 A=b /bin/sh -c echo $A # buildkit', 'RUN echo $A'],
    ['|2 A=b C=d /bin/bash -eo pipefail -c x', 'RUN x'],
    ['COPY a b # buildkit', 'COPY a b'],
    ['umoci raw add-layer', 'umoci raw add-layer'],
    ['', ''],
  ])('makes of “%s” “%s”', (createdBy, instruction) => {
    expect(instructionOf(createdBy)).toBe(instruction);
  });
});
