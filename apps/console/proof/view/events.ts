// The measurements as a table: each beside what was expected at its place, to be searched and copied from.
import {
  GOOD_STATUSES,
  LINK_TITLES,
  linkOfEvent,
  MAX_EVENTS_KEPT,
  type JudgedEvent,
  type Link,
  type LinkId,
  type ProofReport,
} from '@ringwall/evidence';
import { el } from '../dom.ts';
import { visibleText } from '../visible-text.ts';
import { EVENT_STATUSES } from '../words.ts';
import { digest } from './digest.ts';

/** An event, and the link that it is about. */
export interface LinkEvent {
  readonly event: JudgedEvent;
  readonly link: LinkId;
}

/** In the order of the logs: the host booted before the machine. */
export function eventsOf({ host, verdict }: ProofReport): readonly LinkEvent[] {
  return [
    ...(host?.events ?? []).map((event) => ({ event, link: 'host' }) as const),
    ...verdict.events.map((event) => ({ event, link: linkOfEvent(event) })),
  ];
}

export interface EventTable {
  readonly element: HTMLElement;
  /** Shows the measurements of one link alone, and goes there. */
  readonly show: (link: Link) => void;
}

interface Row extends LinkEvent {
  readonly element: HTMLElement;
  readonly text: string;
}

type Which = 'all' | 'wrong' | 'expected';

export function eventTable(events: readonly LinkEvent[], say: (sentence: string) => void): EventTable {
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
    el(
      'p',
      { class: 'lead' },
      'In the order of the log. Names are those of the reference values, never of the log.',
      events.length < MAX_EVENTS_KEPT ? undefined : ` Only the first ${MAX_EVENTS_KEPT} are kept.`,
    ),
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
  // The roles are those that the elements have: a small screen lays them out as no table, and would take them away.
  return el(
    'table',
    { role: 'table', 'aria-labelledby': 'events-title' },
    el(
      'thead',
      { role: 'rowgroup' },
      el(
        'tr',
        { role: 'row' },
        heads.map((head) => el('th', { role: 'columnheader', scope: 'col' }, head)),
      ),
    ),
    el(
      'tbody',
      { role: 'rowgroup' },
      rows.map(({ element }) => element),
    ),
  );
}

function rowOf({ event, link }: LinkEvent, say: (sentence: string) => void): Row {
  const { status, pcr, type, what, measured, expected, index } = event;
  const name = what === '' ? '—' : visibleText(what);
  const cell = (column: string, ...children: readonly (Node | string | undefined)[]): HTMLElement =>
    el('td', { role: 'cell', class: `cell-${column}` }, children);
  const element = el(
    'tr',
    {
      role: 'row',
      'data-status': status,
      'data-index': index === undefined ? '' : String(index),
      'data-pcr': String(pcr),
    },
    cell('index', index === undefined ? '—' : String(index)),
    cell('pcr', String(pcr)),
    cell('what', el('bdi', { class: 'what' }, name), el('small', { class: 'type' }, visibleText(type))),
    cell('link', LINK_TITLES[link]),
    cell(
      'measured',
      measured === undefined || measured === '' ? '—' : digest(measured, 'the measured digest', say),
      expected === undefined || expected === measured
        ? undefined
        : el('span', { class: 'wanted' }, 'expected ', digest(expected, 'the expected digest', say)),
    ),
    cell('judgement', el('span', { class: 'status' }, EVENT_STATUSES[status])),
  );
  const text = [name, type, `pcr ${pcr}`, LINK_TITLES[link], measured ?? '', expected ?? '', EVENT_STATUSES[status]]
    .join(' ')
    .toLowerCase();
  return { element, event, link, text };
}

function labelled(label: string, control: HTMLElement): HTMLElement {
  return el('label', { for: control.id }, el('span', {}, label), control);
}
