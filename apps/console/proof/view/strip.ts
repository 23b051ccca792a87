// The chain at a glance: its rings side by side, each the way to what is known about it.
import { LINK_TITLES, type Link } from '@ringwall/evidence';
import { el } from '../dom.ts';
import { STATES } from '../words.ts';
import { ring } from './glyph.ts';

export function strip(links: readonly Link[]): HTMLElement {
  return el(
    'nav',
    { class: 'strip', 'aria-label': 'The chain at a glance' },
    el(
      'ol',
      {},
      links.map(({ id, title, state }) =>
        el(
          'li',
          { 'data-state': state },
          el(
            'a',
            { href: `#link-${id}`, title: `${title}: ${STATES[state]}` },
            ring(state),
            el('span', { class: 'name' }, title),
            el('span', { class: 'sr' }, `: ${STATES[state]}`),
          ),
        ),
      ),
    ),
  );
}

/** What the chain will be, before there is a proof. A picture only: nothing in it is known yet. */
export function emptyStrip(): HTMLElement {
  return el(
    'div',
    { class: 'strip', 'aria-hidden': 'true' },
    el(
      'ol',
      {},
      Object.values(LINK_TITLES).map((title) =>
        el(
          'li',
          { 'data-state': 'absent' },
          el('span', { class: 'stop' }, ring('absent'), el('span', { class: 'name' }, title)),
        ),
      ),
    ),
  );
}
