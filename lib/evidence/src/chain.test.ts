import { beforeAll, describe, expect, it } from 'vitest';
import { encodeLog, event, indexOf, realEvents, withEvent } from '../testing/event-log.ts';
import { makeProof, makeSigner } from '../testing/proofs.ts';
import { makeScene, type Scene } from '../testing/scene.ts';
import { makeCa, NOW } from '../testing/vtpm-ca.ts';
import { chainOf, LINK_TITLES, linkOfEvent, type Link, type LinkState } from './chain.ts';
import { verifyProof, type ProofReport, type ProofTrust } from './proof-report.ts';
import type { Proof } from './proof.ts';
import type { Signer } from './signer.ts';

const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
const EV_EFI_PLATFORM_FIRMWARE_BLOB = 0x8000_0008;
const EV_EVENT_TAG = 0x6;
const OTHER = new Uint8Array(32).fill(0xee);

let scene: Scene;
let broker: Signer;
let good: Proof;
beforeAll(async () => {
  scene = await makeScene();
  broker = await makeSigner();
  good = await makeProof(scene, broker);
});

const trust = (): ProofTrust => ({ brokerKey: broker.publicKey, trustedRoots: [scene.ca.der], now: NOW });

/** One letter a link, in their order: Holds, Claimed, Broken, - for absent. */
const LETTERS: Readonly<Record<LinkState, string>> = { holds: 'H', claimed: 'C', broken: 'B', absent: '-' };
const picture = (links: readonly Link[]): string => links.map(({ state }) => LETTERS[state]).join('');

interface Case {
  readonly what: string;
  readonly outcome: ProofReport['outcome'];
  /** Broker, host, TPM, firmware, boot loader, kernel, system image, processes. */
  readonly chain: string;
  readonly make: () => Promise<ProofReport>;
}

const CASES: readonly Case[] = [
  {
    what: 'a good proof, all of whose anchors the caller gave',
    outcome: 'proven',
    chain: 'H-HHHHH-',
    make: () => verifyProof(good, trust()),
  },
  {
    what: 'a good proof that nobody stands for',
    outcome: 'unanchored',
    chain: 'C-CCCCC-',
    make: () => verifyProof(good, { now: NOW }),
  },
  {
    what: 'a guest that never opened the credential',
    outcome: 'unanchored',
    chain: 'H-CCCCC-',
    make: async () => verifyProof(await makeProof(scene, broker, {}, { activation: 'unconfirmed' }), trust()),
  },
  {
    what: 'a bundle that was altered after it was sealed',
    outcome: 'invalid',
    chain: 'B-CCCCC-',
    make: () => verifyProof({ ...good, machine: { ...good.machine, name: 'beta' } }, trust()),
  },
  {
    what: 'a refusal for a reason that the bundle does not show',
    outcome: 'refused',
    chain: 'B-CCCCC-',
    make: async () => {
      const verdict = { outcome: 'refused', proven: [], reasons: ['the nonce was used before'] } as const;
      return verifyProof(await makeProof(scene, broker, {}, { verdict }), trust());
    },
  },
  {
    what: 'a vTPM CA that the caller does not trust',
    outcome: 'refused',
    chain: 'H-BCCCC-',
    make: async () => verifyProof(good, { ...trust(), trustedRoots: [(await makeCa()).der] }),
  },
  {
    what: 'a firmware that was replaced',
    outcome: 'refused',
    chain: 'H-HBCCC-',
    make: () => refusal(withEvent(indexOf(0, EV_EFI_PLATFORM_FIRMWARE_BLOB), { digest: OTHER })),
  },
  {
    what: 'a boot loader that nothing expects',
    outcome: 'refused',
    chain: 'H-HHBCC-',
    make: () => refusal([...realEvents, event(4, EV_EFI_BOOT_SERVICES_APPLICATION, OTHER)]),
  },
  {
    what: 'another kernel',
    outcome: 'refused',
    chain: 'H-HHHBC-',
    make: () => refusal(withEvent(indexOf(4, EV_EFI_BOOT_SERVICES_APPLICATION), { digest: OTHER })),
  },
  {
    what: 'another system image, by its root hash in the command line',
    outcome: 'refused',
    chain: 'H-HHHHB-',
    make: () => refusal(withEvent(indexOf(9, EV_EVENT_TAG), { digest: OTHER })),
  },
  {
    what: 'a log that is not the one that was quoted',
    outcome: 'refused',
    chain: 'H-BCCBC-',
    make: async () => {
      const forged = withEvent(indexOf(4, EV_EFI_BOOT_SERVICES_APPLICATION), { digest: OTHER });
      return verifyProof(await confirmed({ eventLog: encodeLog(forged) }), trust());
    },
  },
  {
    what: 'a log that cannot be read',
    outcome: 'refused',
    chain: 'H-BCCCC-',
    make: async () => verifyProof(await confirmed({ eventLog: new Uint8Array(40) }), trust()),
  },
];

function confirmed(lies: Parameters<typeof makeProof>[2]): Promise<Proof> {
  return makeProof(scene, broker, lies, { activation: 'confirmed' });
}

async function refusal(events: typeof realEvents): Promise<ProofReport> {
  return verifyProof(await confirmed({ events }), trust());
}

describe('chainOf()', () => {
  it.each(CASES)('draws $what as $chain', async ({ outcome, chain, make }) => {
    const report = await make();
    expect(report.outcome).toBe(outcome);
    expect(picture(chainOf(report))).toBe(chain);
  });

  it('never shows a chain that says more than the outcome', async () => {
    for (const { what, make } of CASES) {
      const report = await make();
      const states = chainOf(report).map(({ state }) => state);
      expect(states.includes('broken'), what).toBe(report.outcome === 'refused' || report.outcome === 'invalid');
      expect(
        states.every((state) => state === 'holds' || state === 'absent'),
        what,
      ).toBe(report.outcome === 'proven');
    }
  });

  it('gives a reason for every link that does not hold, and none for those that do', async () => {
    for (const { what, make } of CASES) {
      for (const { id, state, reasons } of chainOf(await make())) {
        expect(reasons.length > 0, `${what}: ${id}`).toBe(state === 'claimed' || state === 'broken');
      }
    }
  });

  it('has every event of the report in one link, and every failed check', async () => {
    for (const { what, make } of CASES) {
      const report = await make();
      const links = chainOf(report);
      const events = links.flatMap((link) => link.events);
      expect(new Set(events), what).toEqual(new Set(report.verdict.events));
      expect(events.length, what).toBe(report.verdict.events.length);
      const checks = new Set(links.flatMap((link) => link.checks.map(({ id }) => id)));
      const failed = [...report.checks, ...report.verdict.checks].filter(({ ok, id }) => !ok && id !== 'events');
      expect(
        failed.filter(({ id }) => !checks.has(id)),
        what,
      ).toEqual([]);
    }
  });

  it('shows what a link rests on', async () => {
    const links = chainOf(await verifyProof(good, { now: NOW }));
    expect(Object.fromEntries(links.map(({ id, anchors }) => [id, anchors.map((anchor) => anchor.id)]))).toEqual({
      broker: ['broker-key', 'policy', 'freshness'],
      host: [],
      tpm: ['vtpm-ca', 'activation'],
      firmware: ['reference'],
      'boot-loader': ['reference'],
      kernel: ['reference'],
      'system-image': ['reference'],
      processes: [],
    });
  });

  it('says what stands in for a boot loader where there is none', async () => {
    const links = chainOf(await verifyProof(good, trust()));
    const loader = links.find(({ id }) => id === 'boot-loader');
    expect(loader?.says).toMatch(
      /^none ran, the firmware started the kernel itself: its \d+ measurements are as expected/,
    );
  });

  it('keeps an events check that failed without an event to show for it', async () => {
    const report = await verifyProof(good, trust());
    const checks = report.verdict.checks.map((check) => (check.id === 'events' ? { ...check, ok: false } : check));
    const events = report.verdict.events.filter(({ pcr }) => pcr === 0);
    const links = chainOf({ ...report, outcome: 'refused', verdict: { ...report.verdict, checks, events } });
    expect(links.find(({ id }) => id === 'tpm')?.state).toBe('broken');
  });

  it('lights the host where a proof has evidence of it', async () => {
    const report = await verifyProof(good, trust());
    const layered = (ok: boolean): ProofReport => ({
      ...report,
      host: {
        kind: 'host-tpm',
        outcome: ok ? 'accepted' : 'refused',
        checks: [{ id: 'host-quote-nonce', title: 'the host has answered', ok, detail: 'seen' }],
        proven: [],
        reasons: [],
        events: [],
        ran: undefined,
      },
      ran: {
        outcome: 'expected',
        at: NOW,
        checks: [{ id: 'ima-pcrs', title: 'the list of programs is whole', ok: true, detail: 'seen' }],
        files: [],
        proven: [],
        reasons: [],
      },
    });
    expect(picture(chainOf(layered(true)))).toBe('HHHHHHHH');
    expect(picture(chainOf(layered(false)))).toBe('HBCCCCCC');
  });

  it('breaks the host’s link where evidence of it was demanded, and none held', async () => {
    const report = await verifyProof(good, trust());
    const checks = report.verdict.checks.map((check) =>
      check.id === 'evidence-kinds' ? { ...check, ok: false } : check,
    );
    const verdict = { ...report.verdict, outcome: 'refused', checks } as const;
    const without: ProofReport = { ...report, outcome: 'refused', verdict, demanded: ['host-tpm'] };
    expect(picture(chainOf(without))).toBe('HBCCCCC-');
  });

  it('has a sentence without a full stop for every link', async () => {
    for (const { make } of CASES) {
      for (const { says } of chainOf(await make())) expect(says).toMatch(/^[a-z0-9].*[^.]$/);
    }
  });
});

describe('linkOfEvent()', () => {
  it.each([
    ...[0, 1, 2, 3, 6, 7].map((pcr) => [pcr, 'anything', 'firmware'] as const),
    [4, 'kernel', 'kernel'],
    [4, 'shim', 'boot-loader'],
    [4, '', 'boot-loader'],
    [5, 'leaving the firmware', 'boot-loader'],
    [8, 'grub command', 'boot-loader'],
    [9, 'initrd', 'kernel'],
    [9, 'command line', 'system-image'],
    [10, '', 'processes'],
    [11, '', 'kernel'],
    [12, '', 'system-image'],
    [14, '', 'boot-loader'],
    [15, '', 'system-image'],
    [16, '', 'processes'],
    [23, '', 'processes'],
  ] as const)('puts PCR %i “%s” into %s', (pcr, what, link) => {
    expect(linkOfEvent({ pcr, what })).toBe(link);
    expect(Object.keys(LINK_TITLES)).toContain(link);
  });
});
