// What an attacker may drop on the page, or have a tenant drop: it is shown as text, refused with a reason, and judged
// where the page cannot be made to stand still.
import { toHex } from '@ringwall/bytes';
import { encodeProof, MAX_PROOF_BYTES, parseProof, type Signer, type UnsignedProof } from '@ringwall/evidence';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { event, realEvents } from '../../../lib/evidence/testing/event-log.ts';
import { makeProof, makeSigner } from '../../../lib/evidence/testing/proofs.ts';
import { MACHINE, makeScene, type Scene } from '../../../lib/evidence/testing/scene.ts';
import { file, launch, NEEDS_CHROMIUM, NO_CHROMIUM, ProofPage } from '../testing/browser.ts';

const MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
const HOUR_MS = 3600 * 1000;
const MAX_NAME = 128;

describe.skipIf(NO_CHROMIUM)(`the proof page, against somebody${NEEDS_CHROMIUM}`, () => {
  let browser: Browser;
  let scene: Scene;
  let broker: Signer;
  let good: string;
  const at = new Date(Date.now() - 2 * HOUR_MS);

  beforeAll(async () => {
    browser = await launch();
    scene = await makeScene();
    broker = await makeSigner();
    good = await bundle();
  });
  afterAll(async () => {
    await browser?.close();
  });

  /** A broker that lies can sign anything that has the form of a proof. */
  async function bundle(
    changes: Partial<UnsignedProof> = {},
    lies: Parameters<typeof makeProof>[2] = {},
  ): Promise<string> {
    return encodeProof(await makeProof(scene, broker, lies, { at, activation: 'confirmed', ...changes }));
  }

  const key = () => file('broker.key', toHex(broker.publicKey));

  it.each<[what: string, code: string, content: () => string | Uint8Array]>([
    ['nothing', 'empty', () => ''],
    ['a byte more than a proof may have', 'too-large', () => `${good}${' '.repeat(MAX_PROOF_BYTES - good.length + 1)}`],
    ['40 MiB', 'too-large', () => new Uint8Array(40 * 1024 * 1024)],
    ['random bytes', 'not-known', () => crypto.getRandomValues(new Uint8Array(4096))],
    ['a proof that was cut off', 'not-known', () => good.slice(0, 2000)],
    ['nesting as deep as it fits', 'not-known', () => '['.repeat(MAX_PROOF_BYTES)],
    ['nesting that ends', 'not-a-proof', () => `${'['.repeat(500_000)}${']'.repeat(500_000)}`],
    [
      'objects in objects',
      'malformed',
      () => `{"format":"ringwall-proof/1","machine":${'{"a":'.repeat(9000)}1${'}'.repeat(9001)}`,
    ],
    [
      'a hundred thousand keys',
      'malformed',
      () => `{"format":"ringwall-proof/1",${Array.from({ length: 70_000 }, (_, index) => `"k${index}":1`).join(',')}}`,
    ],
    ['__proto__', 'malformed', () => good.replace('{', '{"__proto__": {"outcome": "proven"},')],
    ['a proof of the future', 'unknown-version', () => good.replace(/ringwall-proof\/\d/, 'ringwall-proof/999')],
    ['JSON of another kind', 'not-a-proof', () => '{"bomFormat": "CycloneDX"}'],
    ['a page', 'not-known', () => `<!doctype html>${MARKUP}`],
  ])('says what is wrong with %s, and what to do', async (_what, code, content) => {
    await using opened = await ProofPage.open(browser);
    const shown = await opened.give(file(`${MARKUP}.json`, content()));
    expect(shown).toMatchObject({ state: 'error', alerts: [code], links: [] });
    expect(await opened.page.locator('#alerts img, #alerts script').count()).toBe(0);
    expect(await opened.page.textContent('#alerts')).toContain(MARKUP);
    // And it is ready for the next.
    expect((await opened.give(file('alpha.json', good))).state).toBe('unanchored');
    expect(opened.trouble).toEqual([]);
  });

  it('puts an old verdict away when the next file is no proof', async () => {
    await using opened = await ProofPage.open(browser);
    expect((await opened.give(key(), file('alpha.json', good))).state).toBe('proven');
    expect(await opened.give(file('beta.json', good.slice(0, 99)))).toMatchObject({ state: 'error', links: [] });
    expect(await opened.page.title()).not.toContain('Proven');
  });

  it('refuses more files than somebody means to drop', async () => {
    await using opened = await ProofPage.open(browser);
    const many = Array.from({ length: 40 }, (_, index) => file(`${index}.json`, good));
    expect(await opened.give(...many)).toMatchObject({ state: 'error', alerts: ['too-many'] });
  });

  it.each([
    ['markup', MARKUP, MARKUP],
    ['a name of 128 characters without a break', 'w'.repeat(MAX_NAME), 'w'.repeat(MAX_NAME)],
    ['what turns the order of text', 'alpha \u202edaolyap\u202c \u2067x', 'alpha [U+202E]daolyap[U+202C] [U+2067]x'],
    ['what has no width', 'al\u200bpha\u2060', 'al[U+200B]pha[U+2060]'],
    ['towers of accents', `a${'\u0300'.repeat(100)}`, `a${'\u0300'.repeat(4)}[…]`],
    ['a script of another direction', 'שלום', 'שלום'],
  ])('shows %s in a machine’s name as it is', async (_what, name, seen) => {
    await using opened = await ProofPage.open(browser, { viewport: { width: 360, height: 740 } });
    const shown = await opened.give(key(), file('alpha.json', await bundle({ machine: { id: MACHINE, name } })));
    expect(shown.state).toBe('proven');
    expect(await opened.page.textContent('.machine')).toBe(seen);
    expect(await opened.page.title()).toContain('Ringwall proof');
    expect(await opened.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    expect(await opened.page.locator('main img, main script').count()).toBe(0);
    expect(opened.trouble).toEqual([]);
  });

  it('shows names of a lying reference and reasons of a lying broker as text', async () => {
    const what = MARKUP.padEnd(MAX_NAME, 'x');
    const events = scene.reference.events.map((one) => ({ ...one, what }));
    const image = { ...scene.reference.image, name: what };
    const reasons = Array.from({ length: 64 }, (_, line) => `${line} ${MARKUP} ${'y'.repeat(900)}`);
    await using opened = await ProofPage.open(browser, { viewport: { width: 360, height: 740 } });
    const shown = await opened.give(
      key(),
      file(
        'alpha.json',
        await bundle({
          reference: { ...scene.reference, image, events },
          verdict: { outcome: 'refused', proven: [], reasons },
        }),
      ),
    );
    expect(shown.state).toBe('refused');
    expect(shown.sentences.join('\n')).toContain(MARKUP);
    await opened.page.click('#unfold');
    expect(await opened.page.locator('main img, main script').count()).toBe(0);
    expect(await opened.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    expect(opened.trouble).toEqual([]);
  });

  it('shows a log as long as one may be', async () => {
    const many = Array.from({ length: 2000 - realEvents.length }, () => event(0, 1, new Uint8Array()));
    await using opened = await ProofPage.open(browser);
    const shown = await opened.give(key(), file('alpha.json', await bundle({}, { events: [...realEvents, ...many] })));
    expect(shown.state).toBe('refused');
    expect(shown.events.length).toBe(512);
    expect(await opened.page.textContent('.events')).toContain('Only the first 512 are kept');
    await opened.page.fill('#events-search', 'kernel');
    expect(await opened.page.textContent('.count')).toMatch(/^[1-9]\d* of 512 shown$/);
    expect(opened.trouble).toEqual([]);
  });

  it('judges beside the page, and stops what does not end', async () => {
    await using opened = await ProofPage.open(browser, {}, async (page) => {
      await page.clock.install();
      // A worker that never answers stands for a bundle that never ends.
      await page.addInitScript(() => {
        const { Blob: Real } = globalThis;
        globalThis.Blob = class extends Real {
          constructor() {
            super(['for (;;);'], { type: 'text/javascript' });
          }
        };
      });
    });
    await opened.page.setInputFiles('#picker', [file('alpha.json', good)]);
    await opened.page.waitForFunction(() => document.body.dataset['state'] === 'reading');
    // The page answers although the worker does not.
    expect(await opened.page.isVisible('.busy')).toBe(true);
    const shown = await opened.after(() => opened.page.clock.fastForward(21_000));
    expect(shown).toMatchObject({ state: 'error', alerts: ['too-slow'] });
  });

  it('says so where a browser gives it no cryptography', async () => {
    await using opened = await ProofPage.open(browser, {}, (page) =>
      page.addInitScript(() => Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined })),
    );
    expect(await opened.give(file('alpha.json', good))).toMatchObject({ state: 'error', alerts: ['no-browser'] });
  });

  it('lets no text become markup or script, even where its own code tried', async () => {
    await using opened = await ProofPage.open(browser);
    const tried = await opened.page.evaluate(() => {
      const attempt = (act: () => unknown): string => {
        try {
          act();
          return 'done';
        } catch (error) {
          return error instanceof Error ? error.name : 'thrown';
        }
      };
      return [
        attempt(() => {
          document.body.innerHTML = '<p>x</p>';
        }),
        attempt(() => document.body.insertAdjacentHTML('beforeend', '<p>x</p>')),
        attempt(() => document.createElement('script').setAttribute('src', 'data:,')),
        attempt(() => new Worker('data:,')),
      ];
    });
    expect(tried).toEqual(['TypeError', 'TypeError', 'TypeError', 'TypeError']);
  });

  it('can reach no network, even where its own code tried', async () => {
    await using opened = await ProofPage.open(browser, { offline: false });
    const reached = await opened.page.evaluate(async () => {
      const fetched = await fetch('http://127.0.0.1:9/').then(
        () => 'fetched',
        () => 'refused',
      );
      const image = await new Promise((resolve) => {
        const made = new Image();
        made.addEventListener('load', () => resolve('loaded'));
        made.addEventListener('error', () => resolve('refused'));
        made.src = 'http://127.0.0.1:9/x.png';
      });
      return [fetched, image];
    });
    expect(reached).toEqual(['refused', 'refused']);
    expect(opened.trouble.filter((what) => what.startsWith('policy: ')).map((what) => what.split(' ')[1])).toEqual([
      'connect-src',
      'img-src',
    ]);
  });

  it('agrees that the good bundle is one', () => {
    expect(parseProof(good).machine.name).toBe('alpha');
  });
});
