// The proof page: one HTML file that a tenant opens offline, drops a proof on, and reads. It asks nobody anything: what
// is given stays in this page, and goes with it.
import { byId, el, prose } from './dom.ts';
import { listen, readText, type Arrival } from './intake.ts';
import { Judge } from './judge-client.ts';
import type { Answer, Refused, Taken } from './judgement.ts';
import { Mistake, type Given } from './material.ts';
import { visibleText } from './visible-text.ts';
import { chain } from './view/chain.ts';
import { eventsOf, eventTable } from './view/events.ts';
import { emptyStrip } from './view/strip.ts';
import { trust, trustForm } from './view/trust.ts';
import { verdict, wordsOf } from './view/verdict.ts';
import { MISTAKES } from './words.ts';

type State = 'empty' | 'reading' | 'error' | 'proven' | 'unanchored' | 'refused' | 'invalid';

const judge = new Judge(byId('judge').textContent);
const picker = byId('picker');
const result = byId('result');
const alerts = byId('alerts');
let given: readonly Given[] = [];
let taken: readonly Taken[] = [];
/** Of two judgements under way, only the later is shown. */
let turn = 0;

start();

function start(): void {
  byId('preview').append(emptyStrip());
  if (picker instanceof HTMLInputElement) listen(picker, (arriving) => void take(arriving), hover);
  for (const id of ['choose', 'another']) byId(id).addEventListener('click', choose);
  byId('print').addEventListener('click', () => window.print());
  byId('unfold').addEventListener('click', unfold);
  // On paper nothing can be opened: the links are, their checks stay as they were left.
  window.addEventListener('beforeprint', () => {
    for (const details of result.querySelectorAll<HTMLDetailsElement>('details.more')) details.open = true;
  });
  byId('paste').addEventListener('submit', (event) => {
    event.preventDefault();
    const field = byId('paste-text');
    if (field instanceof HTMLTextAreaElement && field.value.trim() !== '') use(field.value);
  });
  show('empty');
}

async function take(arriving: Promise<readonly Arrival[]>): Promise<void> {
  turn += 1;
  const mine = turn;
  if (given.length === 0) show('reading');
  say('Reading.');
  const arrivals = await arriving;
  const refused = arrivals.flatMap((arrival) =>
    'mistake' in arrival ? [{ name: arrival.name, code: arrival.mistake.code, detail: arrival.mistake.message }] : [],
  );
  given = [...given, ...arrivals.flatMap((arrival) => ('given' in arrival ? [arrival.given] : []))];
  if (mine !== turn) return;
  await answer(mine, refused);
}

async function answer(mine: number, refused: readonly Refused[]): Promise<void> {
  const now = new Date();
  try {
    const answered = await judge.ask({ given, nowMs: now.getTime() });
    if (mine !== turn) return;
    keepOnly(answered);
    render(answered, [...refused, ...answered.refused], now);
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof Mistake)) throw error;
    const name = given.at(-1)?.name ?? '';
    given = [];
    render({ taken: [], refused: [], judged: undefined }, [{ name, code: error.code, detail: error.message }], now);
  }
}

/** What was not taken, or was replaced by another of its kind, is forgotten: it would be judged again each time. */
function keepOnly(answered: Answer): void {
  taken = answered.taken;
  given = taken.flatMap(({ at }) => given.slice(at, at + 1));
}

function render(answered: Answer, refused: readonly Refused[], now: Date): void {
  // For whoever drives the page and waits for its answer.
  document.body.dataset['answers'] = String(Number(document.body.dataset['answers'] ?? '0') + 1);
  // A file that could not even be read may have been meant as the proof.
  const blocking = refused.some(({ code }) => code !== 'bad-anchor');
  alerts.replaceChildren(...refused.map((one) => alert(one)));
  const actions = { use, choose, forget };
  const { judged } = answered;
  if (judged === undefined || blocking) {
    if (blocking) forgetProof();
    result.replaceChildren(...(taken.length === 0 ? [] : [trustForm(taken, actions)]));
    show(blocking ? 'error' : 'empty');
    if (blocking) alerts.focus();
    if (taken.length > 0 && !blocking) say('Taken. Now drop the proof.');
    return;
  }
  const events = eventTable(eventsOf(judged.report), say);
  result.replaceChildren(
    verdict(judged, now),
    el(
      'div',
      { class: 'columns' },
      chain(judged, { showEvents: events.show, say }),
      trust(judged.report.anchors, taken, actions),
    ),
    events.element,
  );
  show(judged.report.outcome);
  const { title } = wordsOf(judged);
  document.title = `${title}: ${visibleText(judged.report.machine.name)} · Ringwall proof`;
  byId('verdict-title').focus();
  say(`${title}.`);
}

function alert({ name, code, detail }: Refused): HTMLElement {
  const { title, todo } = MISTAKES[code];
  return el(
    'div',
    { class: 'alert', 'data-code': code },
    el('h2', {}, title),
    el('p', { dir: 'auto' }, el('bdi', {}, visibleText(name)), `: ${visibleText(detail)}.`),
    el('p', {}, prose(todo)),
  );
}

function show(state: State): void {
  document.body.dataset['state'] = state;
  if (state === 'empty' || state === 'error' || state === 'reading') document.title = 'Ringwall proof page';
}

function say(sentence: string): void {
  const live = byId('live');
  // The same words twice are two messages: a screen reader must see a change.
  live.textContent = '';
  setTimeout(() => {
    live.textContent = sentence;
  }, 50);
}

function hover(over: boolean): void {
  document.body.classList.toggle('hover', over);
}

function choose(): void {
  picker.click();
}

function use(text: string): void {
  void take(Promise.resolve([readText(text)]));
}

function forget(kind: Taken['kind']): void {
  const at = taken.findIndex((one) => one.kind === kind);
  given = given.filter((_, index) => index !== at);
  void take(Promise.resolve([]));
}

function forgetProof(): void {
  const at = taken.findIndex(({ kind }) => kind === 'proof');
  if (at < 0) return;
  given = given.filter((_, index) => index !== at);
  taken = taken.filter((_, index) => index !== at);
}

function unfold(): void {
  for (const details of result.querySelectorAll('details')) details.open = true;
}
