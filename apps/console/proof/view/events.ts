// The measurements as a table: each beside what was expected at its place, to be searched and copied from.
import { GOOD_STATUSES, LINK_TITLES, linkOfEvent, type JudgedEvent, type Link, type LinkId } from '@ringwall/evidence';
import { el } from '../dom.ts';
import { visibleText } from '../visible-text.ts';
import { EVENT_STATUSES } from '../words.ts';
import { digest } from './digest.ts';

export interface EventTable {
  readonly element: HTMLElement;
  /** Shows the measurements of one link alone, and goes there. */
  readonly show: (link: Link) => void;
}

interface Row {
  readonly element: HTMLElement;
  readonly event: JudgedEvent;
  readonly link: LinkId;
  readonly text: string;
}

type Which = 'all' | 'wrong' | 'expected';

export function eventTable(events: readonly JudgedEvent[], say: (sentence: string) => void): EventTable {
  const rows = events.map((event) => rowOf(event, say));
  const select = el(
    'select',
    { id: 'events-link' },
    el('option', { value: '' }, 'all links'),
    Object.entries(LINK_TITLES)
      .filter(([id]) => rows.some(({ link }) => link === id))
      .map(([id, title]) => el('option', { value: id }, title)),
  );
  const which = el(
    'select',
    { id: 'events-which' },
    el('option', { value: 'all' }, 'all measurements'),
    el('option', { value: 'wrong' }, 'those that differ'),
    el('option', { value: 'expected' }, 'those as expected or allowed'),
  );
  const search = el('input', { id: 'events-search', type: 'search', autocomplete: 'off', spellcheck: 'false' });
  const count = el('p', { class: 'count', role: 'status' });
  const filter = (): void => {
    const shown = rows.filter((row) => matches(row, select.value, which.value, search.value));
    const visible = new Set(shown);
    for (const row of rows) row.element.hidden = !visible.has(row);
    count.textContent = `${shown.length} of ${rows.length} shown`;
  };
  for (const control of [select, which]) control.addEventListener('change', filter);
  search.addEventListener('input', filter);
  filter();
  const title = el('h2', { id: 'events-title', tabindex: '-1' }, 'What was measured');
  const element = el(
    'section',
    { class: 'events', 'aria-labelledby': 'events-title' },
    title,
    el('p', { class: 'lead' }, 'In the order of the log. Names are those of the reference values, never of the log.'),
    el(
      'form',
      { class: 'filter', 'aria-label': 'Filter the measurements' },
      labelled('Search', search),
      labelled('Link', select),
      labelled('Show', which),
      count,
    ),
    table(rows),
  );
  return {
    element,
    show: ({ id }) => {
      select.value = id;
      which.value = 'all';
      search.value = '';
      filter();
      title.focus();
    },
  };
}

function matches(
  { event, link, text }: Row,
  wantedLink: string,
  which: Which | (string & {}),
  search: string,
): boolean {
  const isAsExpected = GOOD_STATUSES.has(event.status);
  return (
    (wantedLink === '' || link === wantedLink) &&
    (which === 'all' || isAsExpected === (which === 'expected')) &&
    text.includes(search.trim().toLowerCase())
  );
}

function table(rows: readonly Row[]): HTMLElement {
  if (rows.length === 0) return el('p', { class: 'none' }, 'No measurement could be judged.');
  const heads = ['#', 'PCR', 'What', 'Link', 'Measured', 'Judgement'];
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        heads.map((head) => el('th', { scope: 'col' }, head)),
      ),
    ),
    el(
      'tbody',
      {},
      rows.map(({ element }) => element),
    ),
  );
}

function rowOf(event: JudgedEvent, say: (sentence: string) => void): Row {
  const { status, pcr, type, what, measured, expected, index } = event;
  const link = linkOfEvent(event);
  const name = what === '' ? '—' : visibleText(what);
  const cell = (label: string, ...children: readonly (Node | string | undefined)[]): HTMLElement =>
    el('td', { 'data-label': label }, children);
  const element = el(
    'tr',
    { 'data-status': status, 'data-index': index === undefined ? '' : String(index), 'data-pcr': String(pcr) },
    cell('#', index === undefined ? '—' : String(index)),
    cell('PCR', String(pcr)),
    cell('What', el('bdi', { class: 'what' }, name), el('small', { class: 'type' }, visibleText(type))),
    cell('Link', LINK_TITLES[link]),
    cell(
      'Measured',
      measured === undefined || measured === '' ? '—' : digest(measured, 'the measured digest', say),
      expected === undefined || expected === measured
        ? undefined
        : el('span', { class: 'wanted' }, 'expected ', digest(expected, 'the expected digest', say)),
    ),
    cell('Judgement', el('span', { class: 'status' }, EVENT_STATUSES[status])),
  );
  const text = [name, type, `pcr ${pcr}`, LINK_TITLES[link], measured ?? '', expected ?? '', EVENT_STATUSES[status]]
    .join(' ')
    .toLowerCase();
  return { element, event, link, text };
}

function labelled(label: string, control: HTMLElement): HTMLElement {
  return el('label', { for: control.id }, el('span', {}, label), control);
}
