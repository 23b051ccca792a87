// The page in Chromium says of every bundle what verifyProof says of it in Node, and asks no network for anything.
import { statSync } from 'node:fs';
import { toHex } from '@ringwall/bytes';
import {
  chainOf,
  defaultPolicy,
  encodeHostReference,
  encodeProof,
  EvidenceError,
  parseProof,
  verifyProof,
  type JudgedEvent,
  type ProofTrust,
  type Signer,
} from '@ringwall/evidence';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeLog, event, indexOf, realEvents, withEvent } from '../../../lib/evidence/testing/event-log.ts';
import type { HostLies } from '../../../lib/evidence/testing/host-scene.ts';
import { LayeredScene } from '../../../lib/evidence/testing/layered-proof.ts';
import { makeProof, makeSigner } from '../../../lib/evidence/testing/proofs.ts';
import { makeRanScene } from '../../../lib/evidence/testing/ran.ts';
import { makeScene, type Scene } from '../../../lib/evidence/testing/scene.ts';
import { imaNg } from '../../../lib/tpm/testing/ima-list.ts';
import { makeCa } from '../../../lib/evidence/testing/vtpm-ca.ts';
import { file, launch, NEEDS_CHROMIUM, NO_CHROMIUM, PAGE_FILE, ProofPage, type Shown } from '../testing/browser.ts';

const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
const EV_EFI_PLATFORM_FIRMWARE_BLOB = 0x8000_0008;
const EV_EVENT_TAG = 0x6;
const OTHER = new Uint8Array(32).fill(0xee);
const HOUR_MS = 3600 * 1000;

type Json = Record<string, unknown>;

describe.skipIf(NO_CHROMIUM)(`the proof page${NEEDS_CHROMIUM}`, () => {
  let browser: Browser;
  let scene: Scene;
  let layered: LayeredScene;
  let broker: Signer;
  let good: string;
  let loadedAnew: ProofPage | undefined;
  const at = new Date(Date.now() - 2 * HOUR_MS);

  beforeAll(async () => {
    browser = await launch();
    scene = await makeScene();
    layered = await LayeredScene.make(at);
    broker = await makeSigner();
    good = await bundle();
  });
  afterAll(async () => {
    await browser?.close();
  });

  async function bundle(
    lies: Parameters<typeof makeProof>[2] = {},
    changes: Parameters<typeof makeProof>[3] = {},
  ): Promise<string> {
    return encodeProof(await makeProof(scene, broker, lies, { at, activation: 'confirmed', ...changes }));
  }

  function edited(path: string, edit: (value: unknown) => unknown): string {
    const root: Json = JSON.parse(good);
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce<Json>((inner, key) => Object(inner[key]), root);
    parent[last] = edit(parent[last]);
    return JSON.stringify(root);
  }

  /** Another byte in the middle, in the same spelling. */
  function flipped(value: unknown): unknown {
    const bytes = Buffer.from(String(value), 'base64');
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    return bytes.toString('base64');
  }

  /** A bundle with its host in it, sealed by a broker of its own. */
  async function withHost(lies: HostLies = {}): Promise<string> {
    return encodeProof(await layered.prove({ host: await layered.layer(lies) }));
  }
  const layeredTrust = async () => ({ brokerKey: layered.broker.publicKey });

  const keyFile = () => file('broker.key', `${toHex(broker.publicKey)} of my host\n`);
  const pem = (der: Uint8Array): string =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64').replaceAll(/.{64}/g, '$&\n').trim()}\n-----END CERTIFICATE-----\n`;

  /** What Node says of the same bytes, in the words of `shown()`. */
  async function expected(text: string, trust: Omit<ProofTrust, 'now'>): Promise<Partial<Shown>> {
    try {
      const report = await verifyProof(parseProof(text), { ...trust, now: new Date() });
      const links = chainOf(report);
      const checks = links.flatMap((link) => link.checks);
      const digests = ({ measured, expected: wanted }: JudgedEvent): string =>
        [measured, wanted === measured ? undefined : wanted].filter((hex) => hex !== undefined && hex !== '').join(' ');
      return {
        state: report.outcome,
        links: links.map(({ id, state }) => `${id} ${state}`),
        failed: checks.filter(({ ok }) => !ok).map(({ id }) => id),
        checks: checks.length,
        events: [...(report.host?.events ?? []), ...report.verdict.events].map(
          (one) => `${one.index ?? ''} ${one.pcr} ${one.status} ${digests(one)}`,
        ),
        anchors: report.anchors.map(({ id, source }) => `${id} ${source}`),
        sentences: report.outcome === 'proven' || report.outcome === 'unanchored' ? report.proven : report.reasons,
        alerts: [],
      };
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      return { state: 'error', links: [], alerts: ['malformed'] };
    }
  }

  interface Case {
    readonly what: string;
    readonly text: () => string | Promise<string>;
    readonly trust?: () => Promise<Omit<ProofTrust, 'now'>>;
  }

  const evidenceFields = ['ekCertificate', 'akPublic', 'bootPublic', 'certify', 'certifySignature', 'quote'] as const;
  const CASES: readonly Case[] = [
    { what: 'a good bundle', text: () => good },
    { what: 'a good bundle, with nobody named', text: () => good, trust: async () => ({}) },
    {
      what: 'a good bundle, with the vTPM authority named',
      text: () => good,
      trust: async () => ({ brokerKey: broker.publicKey, trustedRoots: [scene.ca.der] }),
    },
    {
      what: 'a good bundle, with another authority named',
      text: () => good,
      trust: async () => ({ brokerKey: broker.publicKey, trustedRoots: [(await makeCa()).der] }),
    },
    {
      what: 'a good bundle, with another broker named',
      text: () => good,
      trust: async () => ({ brokerKey: (await makeSigner()).publicKey }),
    },
    {
      what: 'a good bundle, with own reference values that differ',
      text: () => good,
      trust: async () => {
        const events = scene.reference.events.map((one) =>
          one.what === 'initrd' ? { ...one, digest: 'ee'.repeat(32) } : one,
        );
        return { brokerKey: broker.publicKey, reference: { ...scene.reference, events } };
      },
    },
    {
      what: 'a good bundle, with an own policy that demands more',
      text: () => good,
      trust: async () => ({
        brokerKey: broker.publicKey,
        policy: { ...defaultPolicy, pcrs: [...defaultPolicy.pcrs, 16] },
      }),
    },
    { what: 'a host that proves itself', text: () => withHost(), trust: layeredTrust },
    { what: 'a host, with nobody named', text: () => withHost(), trust: async () => ({}) },
    {
      what: 'a host, with an own description of it',
      text: () => withHost(),
      trust: async () => ({ ...(await layeredTrust()), hostReference: layered.host.reference }),
    },
    {
      what: 'a host, with an own description of another TPM',
      text: () => withHost(),
      trust: async () => {
        const hostReference = await layered.host.sign({ tpm: { akName: `000b${'ee'.repeat(32)}` } });
        return { ...(await layeredTrust()), hostReference };
      },
    },
    {
      what: 'a host on which another QEMU ran',
      text: () => withHost({ ran: [...layered.host.booted, imaNg('/usr/bin/qemu-system-x86_64', OTHER)] }),
      trust: layeredTrust,
    },
    {
      what: 'a host that answers another question',
      text: () => withHost({ extraData: OTHER }),
      trust: layeredTrust,
    },
    {
      what: 'a bundle without the host that its policy demands',
      text: async () => encodeProof(await layered.prove({})),
      trust: layeredTrust,
    },
    { what: 'an unconfirmed activation', text: () => bundle({}, { activation: 'unconfirmed' }) },
    { what: 'a bundle from the future', text: () => bundle({}, { at: new Date(Date.now() + HOUR_MS) }) },
    {
      what: 'a broker that refused',
      text: () => bundle({}, { verdict: { outcome: 'refused', proven: [], reasons: ['the nonce was used before'] } }),
    },
    {
      what: 'another firmware',
      text: () => bundle({ events: withEvent(indexOf(0, EV_EFI_PLATFORM_FIRMWARE_BLOB), { digest: OTHER }) }),
    },
    {
      what: 'a boot loader that nothing expects',
      text: () => bundle({ events: [...realEvents, event(4, EV_EFI_BOOT_SERVICES_APPLICATION, OTHER)] }),
    },
    {
      what: 'another kernel',
      text: () => bundle({ events: withEvent(indexOf(4, EV_EFI_BOOT_SERVICES_APPLICATION), { digest: OTHER }) }),
    },
    {
      what: 'another command line',
      text: () => bundle({ events: withEvent(indexOf(9, EV_EVENT_TAG), { digest: OTHER }) }),
    },
    { what: 'a boot without its first measurement', text: () => bundle({ events: realEvents.slice(1) }) },
    {
      what: 'a log that is not what was quoted',
      text: () =>
        bundle({
          eventLog: encodeLog(withEvent(indexOf(4, EV_EFI_BOOT_SERVICES_APPLICATION), { digest: OTHER })),
        }),
    },
    { what: 'a log that cannot be read', text: () => bundle({ eventLog: new Uint8Array(50) }) },
    ...evidenceFields.map((field) => ({
      what: `another byte in evidence.${field}`,
      text: () => edited(`evidence.${field}`, flipped),
    })),
    { what: 'another byte in evidence.quoteSignature', text: () => edited('evidence.quoteSignature', flipped) },
    { what: 'another byte in evidence.eventLog', text: () => edited('evidence.eventLog', flipped) },
    { what: 'another byte in vtpmCa', text: () => edited('vtpmCa.0', flipped) },
    { what: 'another machine’s name', text: () => edited('machine.name', () => 'omega') },
    { what: 'another machine’s id', text: () => edited('machine.id', () => 'mch_zzzzzzzzzzzzzzzzzzzz') },
    { what: 'another nonce', text: () => edited('challenge.nonce', () => '00'.repeat(32)) },
    { what: 'another boot', text: () => edited('challenge.boot', () => 'ff'.repeat(16)) },
    { what: 'another reference', text: () => edited('reference.events.0.digest', () => 'ee'.repeat(32)) },
    { what: 'another policy', text: () => edited('policy.untouchedPcrs', () => [15]) },
    { what: 'another verdict', text: () => edited('verdict.outcome', () => 'refused') },
    { what: 'another activation', text: () => edited('activation', () => 'unconfirmed') },
    { what: 'another time', text: () => edited('at', () => new Date(0).toISOString()) },
    { what: 'another signature', text: () => edited('broker.signature', () => '11'.repeat(64)) },
    { what: 'another key of the broker', text: () => edited('broker.publicKey', () => '22'.repeat(64)) },
    { what: 'an empty policy', text: () => edited('policy', () => ({})) },
    { what: 'a missing section', text: () => edited('reference', () => undefined) },
  ];

  it.each(CASES)('says of $what what verifyProof() says', async ({ text, trust }) => {
    const content = await text();
    const trusted = (await trust?.()) ?? { brokerKey: broker.publicKey };
    // One window for all bundles, loaded anew for each: to open one takes longer than to judge.
    loadedAnew ??= await ProofPage.open(browser);
    const opened = loadedAnew;
    await opened.page.reload();
    const shown = await opened.give(
      ...(trusted.brokerKey === undefined ? [] : [file('broker.key', toHex(trusted.brokerKey))]),
      ...(trusted.trustedRoots === undefined ? [] : [file('ca.pem', trusted.trustedRoots.map(pem).join(''))]),
      ...(trusted.reference === undefined ? [] : [file('reference.json', JSON.stringify(trusted.reference))]),
      ...(trusted.hostReference === undefined ? [] : [file('host.json', encodeHostReference(trusted.hostReference))]),
      ...(trusted.policy === undefined ? [] : [file('policy.json', JSON.stringify(trusted.policy))]),
      file('alpha.proof.json', content),
    );
    expect(shown).toMatchObject(await expected(content, trusted));
    expect(opened.trouble).toEqual([]);
  });

  it('shows what ran since the boot, with what is not of the image first', async () => {
    const ranScene = await makeRanScene(at);
    const evil = imaNg('/tmp/<img src=x>');
    for (const [ran, outcome] of [
      [ranScene.watched.booted, 'proven'],
      [[...ranScene.watched.booted, evil], 'refused'],
    ] as const) {
      const content = encodeProof(await ranScene.proof(ran, { unsigned: { at } }));
      const trusted = { brokerKey: ranScene.broker.publicKey };
      await using opened = await ProofPage.open(browser);
      const shown = await opened.give(file('broker.key', toHex(trusted.brokerKey)), file('alpha.proof.json', content));
      expect(shown).toMatchObject(await expected(content, trusted));
      expect(shown.state).toBe(outcome);
      const files = await opened.page.$$eval('[data-link=processes] [data-file]', (items) =>
        items.map((item) => `${item.getAttribute('data-file')} ${item.querySelector('bdi')?.textContent}`),
      );
      const known = ['expected /bin/busybox', 'expected /lib/ringwall/start'];
      expect(files).toEqual(outcome === 'proven' ? known : ['unknown /tmp/<img src=x>', ...known]);
      expect(opened.trouble).toEqual([]);
    }
  });

  it('lists what else has run on the host, for whoever reads', async () => {
    await using opened = await ProofPage.open(browser);
    const text = await withHost({ ran: [...layered.host.booted, imaNg('/opt/other', OTHER)] });
    const shown = await opened.give(file('broker.key', toHex(layered.broker.publicKey)), file('a.proof.json', text));
    expect(shown.links).toContain('host holds');
    const ran = (await opened.page.textContent('.ran')) ?? '';
    expect(ran).toContain('5 files ran on it: 4 known, 1 not in its reference.');
    expect(ran).toContain('/opt/other');
  });

  it('is one file, small enough for a mail', () => {
    expect(statSync(PAGE_FILE).size).toBeLessThan(200_000);
  });

  it('shows every outcome in the table of bundles', async () => {
    const outcomes = await Promise.all(
      CASES.map(
        async ({ text, trust }) =>
          (await expected(await text(), (await trust?.()) ?? { brokerKey: broker.publicKey })).state,
      ),
    );
    expect(new Set(outcomes)).toEqual(new Set(['proven', 'unanchored', 'refused', 'invalid', 'error']));
  });

  it('turns green only when the broker is named, and amber again when it is forgotten', async () => {
    await using opened = await ProofPage.open(browser);
    expect((await opened.give(file('alpha.proof.json', good))).state).toBe('unanchored');
    await opened.page.fill('#trust-text', toHex(broker.publicKey));
    expect((await opened.after(() => opened.page.click('text=Use it'))).state).toBe('proven');
    expect((await opened.after(() => opened.page.click('text=Forget'))).state).toBe('unanchored');
    expect(opened.trouble).toEqual([]);
  });

  it('takes what is trusted before the proof, and waits for it', async () => {
    await using opened = await ProofPage.open(browser);
    expect(await opened.give(keyFile())).toMatchObject({ state: 'empty', alerts: [] });
    expect((await opened.give(file('alpha.proof.json', good))).state).toBe('proven');
  });

  it('takes what is dropped and what is pasted, anywhere', async () => {
    for (const type of ['drop', 'paste'] as const) {
      await using opened = await ProofPage.open(browser);
      const dispatched = await opened.after(() =>
        opened.page.evaluate(
          ([kind, text]) => {
            const data = new DataTransfer();
            if (kind === 'drop') data.items.add(new File([text], 'alpha.proof.json'));
            else data.setData('text/plain', text);
            const dropped = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
            const pasted = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true });
            document.body.dispatchEvent(kind === 'drop' ? dropped : pasted);
          },
          [type, good] as const,
        ),
      );
      expect(dispatched.state, type).toBe('unanchored');
      expect(opened.trouble).toEqual([]);
    }
  });

  it('judges by the clock of the computer, and says which', async () => {
    await using opened = await ProofPage.open(browser, { timezoneId: 'Asia/Tokyo' }, (page) =>
      page.clock.setFixedTime(new Date(at.getTime() - HOUR_MS)),
    );
    expect(await opened.give(keyFile(), file('alpha.proof.json', good))).toMatchObject({
      state: 'invalid',
      failed: ['time'],
    });
    expect(await opened.page.textContent('.facts')).toContain('Asia/Tokyo');
  });

  it('can be used with a keyboard alone, and moves the focus to the answer', async () => {
    await using opened = await ProofPage.open(browser);
    const focused = (): Promise<string> => opened.page.evaluate(() => document.activeElement?.id ?? '');
    await opened.page.keyboard.press('Tab');
    expect(await focused()).toBe('choose');
    await opened.give(keyFile(), file('alpha.proof.json', good));
    expect(await focused()).toBe('verdict-title');
    // The first thing after the answer is the chain at a glance, and it leads to each link.
    await opened.page.keyboard.press('Tab');
    await opened.page.keyboard.press('Tab');
    await opened.page.keyboard.press('Enter');
    expect(opened.page.url()).toMatch(/#link-host$/);
    await opened.page.waitForFunction(() => document.getElementById('live')?.textContent === 'Proven.');
  });

  it('has a name for every control, and headings without a gap', async () => {
    await using opened = await ProofPage.open(browser);
    await opened.give(keyFile(), file('alpha.proof.json', good));
    await opened.page.click('#unfold');
    const nameless = await opened.page.getByRole('button', { name: /^$/ }).count();
    const fields = await opened.page.getByRole('textbox', { name: /^$/ }).count();
    expect([nameless, fields]).toEqual([0, 0]);
    const levels = await opened.page.evaluate(() =>
      [...document.querySelectorAll('h1, h2, h3')]
        .filter((heading) => heading.checkVisibility())
        .map(({ tagName }) => Number(tagName.slice(1))),
    );
    expect(levels[0]).toBe(1);
    expect(levels.filter((level, index) => level > (levels[index - 1] ?? 0) + 1)).toEqual([]);
  });

  it('filters the measurements, and copies a digest whole', async () => {
    await using opened = await ProofPage.open(browser, { permissions: ['clipboard-read', 'clipboard-write'] });
    await opened.give(keyFile(), file('alpha.proof.json', good));
    await opened.page.fill('#events-search', 'kernel');
    expect(await opened.page.locator('tbody tr:visible').count()).toBeGreaterThan(0);
    await opened.page.selectOption('#events-link', 'kernel');
    await opened.page.fill('#events-search', '');
    expect(await opened.page.textContent('.count')).toBe('2 of 25 shown');
    await opened.page.click('tbody tr:visible .copy');
    const copied = await opened.page.evaluate(() => navigator.clipboard.readText());
    expect(scene.reference.events.map(({ digest }) => digest)).toContain(copied);
    await opened.page.selectOption('#events-which', 'wrong');
    expect(await opened.page.textContent('.count')).toBe('0 of 25 shown');
  });

  it('fits a screen of 360 pixels, and all of it is on paper', async () => {
    await using opened = await ProofPage.open(browser, { viewport: { width: 360, height: 740 } });
    await opened.give(keyFile(), file('alpha.proof.json', good));
    await opened.page.click('#unfold');
    expect(await opened.page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    await opened.page.emulateMedia({ media: 'print' });
    const tail = opened.page.locator('tbody tr .tail').first();
    expect(await tail.isVisible()).toBe(true);
    expect(await opened.page.locator('button:visible').count()).toBe(0);
  });
});
