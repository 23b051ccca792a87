// What a proof rests on and whose word each part is; and the place where a person names whom they trust.
import type { Anchor } from '@ringwall/evidence';
import { button, el, prose } from '../dom.ts';
import type { Taken } from '../judgement.ts';
import { visibleText } from '../visible-text.ts';
import { ANCHORS, KINDS, SOURCES } from '../words.ts';

export interface TrustActions {
  readonly use: (text: string) => void;
  readonly choose: () => void;
  readonly forget: (kind: Taken['kind']) => void;
}

export function trust(anchors: readonly Anchor[], taken: readonly Taken[], actions: TrustActions): HTMLElement {
  return el(
    'section',
    { class: 'trust', 'aria-labelledby': 'trust-title' },
    el('h2', { id: 'trust-title' }, 'What it rests on'),
    el('p', { class: 'lead' }, 'No evidence can show these by itself. They are somebody’s word: see whose.'),
    el(
      'ul',
      { class: 'anchors' },
      anchors.map((anchor) => word(anchor)),
    ),
    form(taken, actions),
  );
}

/** Where there is no proof yet, only what the person has named. */
export function trustForm(taken: readonly Taken[], actions: TrustActions): HTMLElement {
  return el('section', { class: 'trust', 'aria-label': 'What you trust' }, form(taken, actions));
}

function word({ id, what, source }: Anchor): HTMLElement {
  return el(
    'li',
    { 'data-anchor': id, 'data-source': source },
    el('span', { class: 'what', dir: 'auto' }, visibleText(what)),
    el('span', { class: 'source' }, SOURCES[source]),
    el('span', { class: 'note' }, prose(ANCHORS[id])),
  );
}

function form(taken: readonly Taken[], { use, choose, forget }: TrustActions): HTMLElement {
  const field = el('textarea', {
    id: 'trust-text',
    rows: '3',
    spellcheck: 'false',
    autocomplete: 'off',
    autocapitalize: 'off',
    'aria-describedby': 'trust-help',
  });
  const given = taken.filter(({ kind }) => kind !== 'proof');
  const made = el(
    'form',
    { class: 'name' },
    el('h3', {}, el('label', { for: 'trust-text' }, 'Name what you trust')),
    el(
      'p',
      { id: 'trust-help' },
      'The broker’s key, the certificate of a vTPM authority (PEM), your own reference values or policy (JSON), ',
      'or the key of whoever signs reference values (the word reference-key, then the key). ',
      'Paste it here, or drop the file anywhere on this page.',
    ),
    given.length === 0
      ? undefined
      : el(
          'ul',
          { class: 'taken' },
          given.map((one) => chip(one, forget)),
        ),
    field,
    el(
      'div',
      { class: 'row' },
      el('button', { type: 'submit' }, 'Use it'),
      button('Choose a file…', choose, { class: 'quiet' }),
    ),
  );
  made.addEventListener('submit', (event) => {
    event.preventDefault();
    if (field.value.trim() !== '') use(field.value);
  });
  return made;
}

function chip({ kind, label, name }: Taken, forget: TrustActions['forget']): HTMLElement {
  return el(
    'li',
    { 'data-kind': kind },
    el('span', { dir: 'auto' }, `${KINDS[kind]}: ${visibleText(label)} `, el('small', {}, `(${visibleText(name)})`)),
    button('Forget', () => forget(kind), { class: 'quiet', 'aria-label': `Forget the ${KINDS[kind]}` }),
  );
}
