// The answer, in one word, one sentence, and one thing to do; then whose machine, when, and by which clock.
import type { ProofReport } from '@ringwall/evidence';
import { el } from '../dom.ts';
import type { Judged } from '../judgement.ts';
import { visibleText } from '../visible-text.ts';
import { NOT_SHOWN, OUTCOMES, type Words } from '../words.ts';
import { strip } from './strip.ts';
import { formatAge, formatTime } from './time.ts';

/** More sentences than a person reads at once wait behind a fold. */
const SENTENCES_SHOWN = 6;
/** A proof says what booted then; after this long a person should be told that it is old. */
const OLD_MS = 24 * 3600 * 1000;

export function wordsOf({ report, brokerNamed }: Judged): Words {
  return report.outcome === 'unanchored' && brokerNamed ? NOT_SHOWN : OUTCOMES[report.outcome];
}

export function verdict(judged: Judged, now: Date): HTMLElement {
  const { report, chain } = judged;
  const { title, means, todo } = wordsOf(judged);
  return el(
    'section',
    { id: 'verdict', class: 'verdict', 'data-outcome': report.outcome, 'aria-labelledby': 'verdict-title' },
    el('h1', { id: 'verdict-title', tabindex: '-1' }, title),
    el('p', { class: 'means' }, means),
    el('p', { class: 'todo' }, todo),
    facts(report, now),
    strip(chain),
    sentences(report),
  );
}

function facts(report: ProofReport, now: Date): HTMLElement {
  const { machine, at, verdict: judged } = report;
  const validity = judged.checks.find(({ id }) => id === 'ek-validity')?.detail ?? '';
  const old = now.getTime() - at.getTime() > OLD_MS;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const fact = (name: string, ...value: readonly (Node | string)[]): HTMLElement =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value));
  return el(
    'dl',
    { class: 'facts' },
    fact(
      'Machine',
      el('bdi', { class: 'machine' }, visibleText(machine.name)),
      ' ',
      el('code', {}, visibleText(machine.id)),
    ),
    fact(
      'Broker judged',
      el('time', { datetime: at.toISOString() }, formatTime(at)),
      el('span', { class: old ? 'age old' : 'age' }, `${formatAge(at, now)}${old ? ': it says nothing newer' : ''}`),
    ),
    fact(
      'Judged here',
      el('time', { datetime: now.toISOString() }, formatTime(now)),
      el('span', { class: 'age' }, `by this computer’s clock (zone: ${zone})`),
    ),
    fact('Certificates', validity.replace(/T(\d\d:\d\d:\d\d)\.\d+Z/, ' $1 UTC')),
  );
}

function sentences({ outcome, proven, reasons }: ProofReport): HTMLElement | undefined {
  switch (outcome) {
    case 'proven':
      return list('It is proven that', proven);
    case 'unanchored':
      return list('If the amber links are true, then', proven);
    case 'refused':
    case 'invalid':
      break;
  }
  return list('Why', reasons);
}

function list(title: string, items: readonly string[]): HTMLElement | undefined {
  if (items.length === 0) return undefined;
  const lines = (some: readonly string[]): HTMLElement =>
    el(
      'ul',
      {},
      some.map((item) => el('li', { dir: 'auto' }, visibleText(item))),
    );
  const more = items.slice(SENTENCES_SHOWN);
  return el(
    'div',
    { class: 'sentences' },
    el('h2', {}, title),
    lines(items.slice(0, SENTENCES_SHOWN)),
    more.length === 0 ? undefined : el('details', {}, el('summary', {}, `${more.length} more`), lines(more)),
  );
}
