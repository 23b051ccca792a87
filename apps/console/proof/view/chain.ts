// The chain in full: each link with what it says, why it does not hold, what was asked of it, and what it rests on.
import type { Anchor, Check, HostRan, JudgedEvent, Link, RanFile } from '@ringwall/evidence';
import { button, el } from '../dom.ts';
import { explanationOf } from '../explanations.ts';
import type { Judged } from '../judgement.ts';
import { visibleText } from '../visible-text.ts';
import { EVENT_STATUSES, RAN_STATUSES, SOURCES, STATES } from '../words.ts';
import { digest, SHOWN_DIGITS } from './digest.ts';
import { ring } from './glyph.ts';

export interface ChainActions {
  /** Brings the person to the measurements of one link in the table. */
  readonly showEvents: (link: Link) => void;
  readonly say: (sentence: string) => void;
}

export function chain({ chain: links, report }: Judged, actions: ChainActions): HTMLElement {
  const firstBroken = links.find(({ state }) => state === 'broken')?.id;
  return el(
    'section',
    { class: 'chain', 'aria-labelledby': 'chain-title' },
    el('h2', { id: 'chain-title' }, 'The chain'),
    el('p', { class: 'lead' }, 'Each link rests on those before it. Open one to see what was asked of it, and why.'),
    el(
      'ol',
      {},
      links.map((link) => {
        const ran = link.id === 'host' ? report.host?.ran : undefined;
        return item(link, details(link, { open: link.id === firstBroken, ran, ...actions }));
      }),
    ),
  );
}

function item({ id, title, state, says, reasons }: Link, more: HTMLElement | undefined): HTMLElement {
  return el(
    'li',
    { id: `link-${id}`, class: 'link', 'data-link': id, 'data-state': state, tabindex: '-1' },
    el('div', { class: 'rail' }, ring(state)),
    el(
      'div',
      { class: 'body' },
      el('h3', {}, title, ' ', el('span', { class: 'state' }, STATES[state])),
      el('p', { class: 'says' }, `${capital(visibleText(says))}.`),
      reasons.length === 0
        ? undefined
        : el(
            'ul',
            { class: 'reasons' },
            reasons.map((reason) => el('li', { dir: 'auto' }, visibleText(reason))),
          ),
      more,
    ),
  );
}

function details(
  link: Link,
  { open, ran, showEvents, say }: ChainActions & { readonly open: boolean; readonly ran: HostRan | undefined },
): HTMLElement | undefined {
  const { title, checks, events, anchors, files } = link;
  const parts = [
    counted(checks.length, 'check'),
    counted(events.length, 'measurement'),
    counted(files.length, 'file'),
  ].filter((part) => part !== '');
  if (parts.length === 0) return undefined;
  const strangersFirst = files.toSorted((a, b) => Number(a.status === 'expected') - Number(b.status === 'expected'));
  const failedFirst = checks.toSorted((a, b) => Number(a.ok) - Number(b.ok));
  return el(
    'details',
    { class: 'more', open: open ? '' : undefined },
    el('summary', {}, parts.join(', ')),
    list(
      'rests',
      anchors.map((anchor) => rest(anchor)),
    ),
    list(
      'checks',
      failedFirst.map((check) => line(check)),
    ),
    list(
      'measured',
      events.map((event) => measurement(event, say)),
    ),
    list(
      'measured',
      strangersFirst.map((file) => ranFile(file)),
    ),
    ran === undefined ? undefined : whatRan(ran, say),
    events.length === 0
      ? undefined
      : button('Show in the table', () => showEvents(link), {
          class: 'quiet',
          'aria-label': `Show the measurements of ${title} in the table`,
        }),
  );
}

function list(name: string, items: readonly HTMLElement[]): HTMLElement | undefined {
  return items.length === 0 ? undefined : el('ul', { class: name }, items);
}

function measurement({ status, pcr, what, measured, expected }: JudgedEvent, say: ChainActions['say']): HTMLElement {
  return el(
    'li',
    { 'data-status': status },
    el('bdi', { class: 'what' }, what === '' ? EVENT_STATUSES[status] : visibleText(what)),
    el('small', {}, `PCR ${pcr}`),
    measured === undefined || measured === '' ? undefined : digest(measured, 'the measured digest', say),
    expected === undefined || expected === measured
      ? undefined
      : el('span', { class: 'wanted' }, 'expected ', digest(expected, 'the expected digest', say)),
  );
}

function ranFile({ path, sha256, status, package: from }: RanFile): HTMLElement {
  const known = status === 'expected';
  return el(
    'li',
    { 'data-file': status, 'data-status': known ? 'expected' : 'unexpected' },
    el('bdi', { class: 'what' }, visibleText(path)),
    el('small', {}, known ? visibleText(from ?? 'of the image') : RAN_STATUSES[status]),
    sha256 === '' ? undefined : el('code', { title: sha256 }, sha256.slice(0, SHOWN_DIGITS)),
  );
}

/** Nobody judged the others: they are for whoever reads. */
function whatRan({ entries, known, otherCount, others }: HostRan, say: ChainActions['say']): HTMLElement {
  const unnamed = otherCount - others.length;
  return el(
    'div',
    { class: 'ran' },
    el('p', {}, `${counted(entries, 'file')} ran on it: ${known} known, ${otherCount} not in its reference.`),
    list(
      'measured',
      others.map(({ path, sha256 }) =>
        el('li', {}, el('bdi', { class: 'what' }, visibleText(path)), digest(sha256, 'the digest of this file', say)),
      ),
    ),
    unnamed > 0 ? el('p', {}, `And ${unnamed} more.`) : undefined,
  );
}

function rest({ what, source }: Anchor): HTMLElement {
  return el('li', { 'data-source': source, dir: 'auto' }, `Rests on ${visibleText(what)}: ${SOURCES[source]}.`);
}

function line({ id, title, ok, detail }: Check): HTMLElement {
  const why = explanationOf(id);
  return el(
    'li',
    { 'data-check': id, 'data-ok': String(ok) },
    el(
      'details',
      {},
      el('summary', {}, el('span', { class: 'sign' }, ok ? 'Holds: ' : 'Fails: '), capital(title)),
      el('p', { dir: 'auto' }, el('b', {}, 'Seen: '), visibleText(detail)),
      why === undefined ? undefined : el('p', {}, el('b', {}, 'Why it is asked: '), why),
    ),
  );
}

function counted(count: number, what: string): string {
  if (count === 0) return '';
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
