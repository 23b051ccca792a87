import { concatBytes, toHex, utf8 } from '@ringwall/bytes';
import { AK_ATTRIBUTES, encodeEventLog, parseEventLog, TPM_RH, TPMA_OBJECT } from '@ringwall/tpm';
import { beforeAll, describe, expect, test } from 'vitest';
import { digestField, imaNg, nameField, sha, violation } from '../../../tpm/testing/ima-list.ts';
import { encodeLog, event, indexOf, realEvents, sha256, withEvent } from '../../testing/event-log.ts';
import {
  aggregateOf,
  failedHostChecks,
  makeHostScene,
  type HostLies,
  type HostScene,
} from '../../testing/host-scene.ts';
import { makeSigner } from '../../testing/proofs.ts';
import { issueEk, makeCa, NOW } from '../../testing/vtpm-ca.ts';
import { toBase64 } from '../base64.ts';
import { isVerified } from '../verified.ts';
import { HOST_CHECK_TITLES, hostClockOf, type HostExceptionName, type HostJudgement } from './index.ts';

const EV_SEPARATOR = 4;
const EV_EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003;
const EV_NO_ACTION = 3;
const QEMU = '/usr/bin/qemu-system-x86_64';
let scene: HostScene;
beforeAll(async () => {
  scene = await makeHostScene();
});

const failed = async (lies: HostLies, changes?: Partial<HostJudgement>): Promise<string[]> =>
  failedHostChecks(await scene.judge(lies, changes));
/** Reasons, as somebody reads them. */
const reasons = async (lies: HostLies, changes?: Partial<HostJudgement>): Promise<string> =>
  (await scene.judge(lies, changes)).verdict.reasons.join('\n');

describe('judgeHost()', () => {
  test('a host that booted and ran what its reference says is accepted, and every check says so', async () => {
    const { verdict, verified } = await scene.judge();
    expect(verdict.reasons).toEqual([]);
    expect(verdict.checks.map(({ id, ok }) => `${id} ${ok}`)).toEqual(
      Object.keys(HOST_CHECK_TITLES).map((id) => `${id} true`),
    );
    expect(verdict).toMatchObject({ kind: 'host-tpm', outcome: 'accepted' });
    expect(verdict.ran).toEqual({ entries: 4, known: 4, otherCount: 0, others: [] });
    expect(verdict.proven.join('\n')).toContain('the key that the owner of the host enrolled');
    expect(verified !== undefined && isVerified(verified)).toBe(true);
    expect(verified === undefined ? undefined : hostClockOf(verified)).toEqual({
      resetCount: 7,
      restartCount: 2,
      clock: 5000n,
    });
  });

  test('what else ran is shown with its digest and counted; a policy may refuse it', async () => {
    const ran = [...scene.booted, imaNg('/usr/bin/vim'), imaNg('/tmp/\u001b[2Jqemu')];
    const { verdict } = await scene.judge({ ran });
    expect(verdict).toMatchObject({ outcome: 'accepted', ran: { entries: 6, known: 4, otherCount: 2 } });
    expect(verdict.ran?.others).toEqual([
      { path: '/usr/bin/vim', sha256: toHex(sha256(utf8('/usr/bin/vim'))) },
      { path: '/tmp/?[2Jqemu', sha256: toHex(sha256(utf8('/tmp/\u001b[2Jqemu'))) },
    ]);
    const policy = { ...scene.policy, others: 'refuse' } as const;
    expect(await failed({ ran }, { policy })).toEqual(['host-files-others']);
    expect(await reasons({ ran }, { policy })).toBe(
      '/usr/bin/vim ran on the host, which is not in its reference; and 1 more',
    );
    expect(await failed({}, { policy })).toEqual([]);
  });

  test('checklist 11: the list may run ahead of the quote, never behind it', async () => {
    const ahead = [...scene.booted, imaNg('/usr/bin/later')];
    const { verdict } = await scene.judge({ ran: ahead, measured: scene.booted });
    expect(verdict).toMatchObject({ outcome: 'accepted', ran: { entries: 4, otherCount: 0 } });
    const behind = { ran: scene.booted, measured: ahead };
    expect(await failed(behind)).toContain('host-log-replay');
  });

  test('QEMU with another content is an alteration, wherever the genuine one has run too', async () => {
    const ran = [...scene.booted, imaNg(QEMU, sha('sha256', utf8('patched')))];
    expect(await failed({ ran })).toEqual(['host-files-unaltered']);
    expect(await reasons({ ran })).toMatch(
      /^\/usr\/bin\/qemu-system-x86_64 ran on the host, and is not the file of qemu-system-x86 1:7.2 that is expected \(SHA-256 .*, expected .*\)$/,
    );
  });

  test('a file that must have run and was not measured refuses; one that may run may be missing', async () => {
    const without = scene.booted.filter((_, index) => index !== 2);
    expect(await failed({ ran: without })).toEqual(['host-files-ran']);
    expect(await reasons({ ran: without })).toBe(
      '/usr/bin/swtpm was never measured on this host with an expected content',
    );
    const library = imaNg('/usr/lib/x86_64-linux-gnu/libslirp.so.0.4.0');
    expect((await scene.judge({ ran: [...scene.booted, library] })).verdict.ran?.known).toBe(5);
  });

  test('a file that was updated may be there with both contents', async () => {
    const updated = sha256(utf8('newer'));
    const files = [...scene.files, { path: QEMU, sha256: toHex(updated), required: true }];
    const reference = await scene.sign({ files });
    expect(await failed({ ran: [...scene.booted, imaNg(QEMU, updated)] }, { reference })).toEqual([]);
    expect(await failed({}, { reference })).toEqual([]);
  });

  test('a file that changed while it was measured refuses', async () => {
    expect(await failed({ ran: [...scene.booted, violation('/usr/bin/bash')] })).toEqual(['host-ima-violations']);
  });

  test('a buffer that is measured under a file’s name and digest is no file', async () => {
    const [first, ...rest] = scene.booted;
    const [qemu, ...others] = rest;
    if (first === undefined || qemu === undefined) throw new Error('an empty list');
    const buffer = { template: 'ima-buf', fields: [...qemu.fields, utf8('kexec')] };
    expect(await failed({ ran: [first, buffer, ...others] })).toEqual(['host-files-ran', 'host-files-unaltered']);
  });

  describe('the boot', () => {
    const evil = event(4, EV_EFI_BOOT_SERVICES_APPLICATION, utf8('evil'));
    const kernel = (): number => indexOf(4, EV_EFI_BOOT_SERVICES_APPLICATION);
    const withAggregate = (events: typeof realEvents): HostLies => ({
      events,
      ran: [imaNg('boot_aggregate', aggregateOf(events)), ...scene.booted.slice(1)],
    });

    test('an altered measurement refuses and names the event, unless a rule allows this very digest', async () => {
      const lies = withAggregate(withEvent(kernel(), { digest: evil.digest }));
      expect(await failed(lies)).toEqual(['host-events']);
      expect(await reasons(lies)).toMatch(/\(PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION\): measured .*, expected /);
      const rule = {
        effect: 'allow',
        pcr: 4,
        type: 'EV_EFI_BOOT_SERVICES_APPLICATION',
        digests: [toHex(evil.digest)],
        mayBeMissing: false,
        reason: 'the kernel of next week',
      } as const;
      const { verdict } = await scene.judge(lies, { policy: { ...scene.policy, rules: [rule] } });
      expect(verdict.reasons).toEqual([]);
      expect(verdict.events.filter(({ status }) => status === 'allowed')).toHaveLength(1);
      const any = { ...rule, digests: 'any' } as const;
      expect(await failed(lies, { policy: { ...scene.policy, rules: [any] } })).toContain('host-policy');
    });

    test('a log that was rewritten does not lead to the quote', async () => {
      const rewritten = { eventLog: encodeLog(withEvent(kernel(), { digest: evil.digest })) };
      expect(await failed(rewritten)).toEqual(['host-log-replay', 'host-events', 'host-ima-start']);
      expect(await reasons(rewritten)).toContain('(a claim only: the host’s logs do not lead to its quote)');
    });

    test('the list of another boot refuses', async () => {
      const ran = [imaNg('boot_aggregate', sha256(utf8('other'))), ...scene.booted.slice(1)];
      expect(await failed({ ran })).toEqual(['host-ima-start']);
      expect(await failed({ ran: scene.booted.slice(1) })).toEqual(['host-ima-start', 'host-files-ran']);
      expect(await failed({ ran: [] })).toEqual(['host-size', 'host-ima-start', 'host-files-ran']);
    });

    test('a note of the firmware is let through, and one that changes what PCR 0 began with is not', async () => {
      const note = { pcr: 0, type: EV_NO_ACTION, digest: new Uint8Array(32), data: utf8('SP800-155 Event\0') };
      expect(await failed({ eventLog: encodeLog([note, ...realEvents]) })).toEqual([]);
      const locality = { ...note, data: utf8('StartupLocality\0\u0003') };
      expect(await failed({ eventLog: encodeLog([locality, ...realEvents]) })).toContain('host-log-replay');
    });

    test('a second separator, or an event of IMA’s PCR, is not the order of a boot', async () => {
      const separator = event(4, EV_SEPARATOR, new Uint8Array(4));
      expect(await failed(withAggregate([...realEvents, separator]))).toEqual(['host-log-order', 'host-events']);
      const inTen = event(10, 0x0d, utf8('evil'));
      expect(await failed({ events: [...realEvents, inTen] })).toEqual(
        expect.arrayContaining(['host-log-covered', 'host-events']),
      );
    });

    test('a reference for PCRs that nobody demands refuses', async () => {
      const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
      const policy = { ...scene.policy, pcrs };
      expect(await failed({ pcrs }, { policy })).toEqual([]);
      const [first] = scene.reference.events;
      if (first === undefined) throw new Error('no events');
      const reference = await scene.sign({ events: [...scene.reference.events, { ...first, pcr: 14 }] });
      expect(await failed({ pcrs }, { policy, reference })).toEqual(['host-reference-quoted', 'host-events']);
    });
  });

  describe('whose TPM it is', () => {
    test.each<[string, () => HostLies, string[]]>([
      ['another signer', () => ({ signer: scene.machine.tpm.bootKey.privateKey }), ['host-quote-signature']],
      ['a nonce of before', () => ({ extraData: sha256(utf8('old')) }), ['host-quote-nonce']],
      ['other PCRs', () => ({ pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }), ['host-quote-pcrs', 'host-log-replay']],
      ['another type', () => ({ type: 0x8017 }), ['host-quote-form']],
      ['no TPM’s magic', () => ({ magic: 0 }), ['host-quote-form']],
      ['bytes behind the quote', () => ({ trailing: new Uint8Array(1) }), ['host-quote-form']],
      ['a key of the owner’s hierarchy', () => ({ hierarchy: TPM_RH.OWNER }), ['host-quote-signer']],
    ])('%s refuses', async (_, lies, expected) => {
      expect(await failed(lies())).toEqual(expect.arrayContaining(expected));
    });

    test('another vTPM CA refuses, in the evidence and in the question', async () => {
      const other = await makeCa();
      expect(await failed({ vtpmCa: other.der })).toEqual(['host-vtpm-ca']);
      expect(await failed({}, { question: { ...scene.question, vtpmCa: other.der } })).toEqual([
        'host-vtpm-ca',
        'host-quote-nonce',
      ]);
    });

    test('another host, another nonce', async () => {
      const question = { ...scene.question, nonce: new Uint8Array(32) };
      expect(await failed({}, { question })).toEqual(['host-quote-nonce']);
      expect(await failed({}, { question: { ...scene.question, host: 'host_b' } })).toEqual([
        'host-reference',
        'host-quote-nonce',
      ]);
    });

    test('checklist 12: a key that nobody enrolled proves nothing, however well it signs', async () => {
      const tpm = { akName: `000b${'ab'.repeat(32)}` };
      expect(await failed({}, { reference: await scene.sign({ tpm }) })).toEqual(['host-ak-enrolled']);
    });

    test('checklist 4: a key that is not bound to its TPM refuses', async () => {
      const akPublic = new Uint8Array((await scene.evidence()).akPublic);
      new DataView(akPublic.buffer).setUint32(4, AK_ATTRIBUTES & ~TPMA_OBJECT.restricted);
      expect(await failed({ akPublic })).toEqual(expect.arrayContaining(['host-ak-attributes', 'host-ak-enrolled']));
    });

    test('where the policy names makers of TPMs, the EK is theirs and its TPM has opened a credential', async () => {
      const ekRoots = [{ certificate: toBase64(scene.maker.der), reason: 'the model that we buy' }];
      const policy = { ...scene.policy, ekRoots };
      const confirmed = { policy, activation: 'confirmed' } as const;
      const { verdict } = await scene.judge({}, confirmed);
      expect(verdict.reasons).toEqual([]);
      expect(verdict.proven.join('\n')).toContain('one of a maker whom the policy names');
      expect(await failed({}, { policy })).toEqual(['host-activation']);
      expect(await failed({ ekCertificate: new Uint8Array() }, confirmed)).toEqual([
        'host-ek-form',
        'host-ek-chain',
        'host-ek-validity',
        'host-ek-usage',
        'host-ek-enrolled',
        'host-activation',
      ]);
      const { ekCertificate: unpadded } = await scene.evidence();
      for (const fill of [0, 0xff]) {
        const padded = concatBytes(unpadded, new Uint8Array(700).fill(fill));
        expect(await failed({ ekCertificate: padded }, confirmed), 'checklist 4: as an NV index holds it').toEqual([]);
      }
      expect(await failed({ ekCertificate: concatBytes(unpadded, utf8('more')) }, confirmed)).toContain('host-ek-form');
      const stranger = await issueEk(await makeCa(), scene.machine.tpm.ek.publicKey, 'a chip');
      expect(await failed({ ekCertificate: stranger }, confirmed)).toEqual(['host-ek-chain', 'host-ek-validity']);
      const expired = await issueEk(scene.maker, scene.machine.tpm.ek.publicKey, 'a chip', { notAfter: new Date(0) });
      expect(await failed({ ekCertificate: expired }, confirmed)).toEqual(['host-ek-validity']);
      const web = { purposes: ['1.3.6.1.5.5.7.3.1'] };
      const server = await issueEk(scene.maker, scene.machine.tpm.ek.publicKey, 'a chip', web);
      expect(await failed({ ekCertificate: server }, confirmed)).toEqual(['host-ek-usage']);
      const tpm = { ...scene.reference.tpm, ekKey: 'ab'.repeat(32) };
      expect(await failed({}, { ...confirmed, reference: await scene.sign({ tpm }) })).toEqual(['host-ek-enrolled']);
    });

    test('checklist 5: counters go forward only', async () => {
      const last = { resetCount: 7, restartCount: 2, clock: 5000n };
      expect(await failed({}, { last })).toEqual([]);
      expect(await failed({ resetCount: 8, restartCount: 0, clock: 1n }, { last })).toEqual([]);
      expect(await failed({ resetCount: 6 }, { last })).toEqual(['host-clock']);
      expect(await failed({ restartCount: 1 }, { last })).toEqual(['host-clock']);
      expect(await failed({ clock: 4999n }, { last })).toEqual(['host-clock']);
    });
  });

  describe('who says so', () => {
    test('a reference of somebody whom the policy does not name, altered, or of another time', async () => {
      const stranger = await makeSigner();
      expect(await failed({}, { reference: await scene.sign({}, stranger) })).toEqual(['host-reference-authority']);
      const by = { ...scene.reference, by: 'somebody else' };
      expect(await failed({}, { reference: by })).toEqual(['host-reference-signature']);
      const files = scene.reference.files.slice(1);
      expect(await failed({}, { reference: { ...scene.reference, files } })).toEqual(['host-reference-signature']);
      const late = new Date(scene.reference.notAfter.getTime() + 1);
      const question = { ...scene.question, askedAt: late };
      expect(await failed({}, { now: late, question })).toEqual(['host-reference-time']);
    });

    test('checklist 13: an answer that is overdue counts no longer', async () => {
      const askedAt = new Date(NOW.getTime() - 601_000);
      expect(await failed({}, { question: { ...scene.question, askedAt } })).toEqual(['host-fresh']);
      const ahead = new Date(NOW.getTime() + 600_000);
      expect(await failed({}, { question: { ...scene.question, askedAt: ahead } })).toEqual(['host-fresh']);
    });

    test('checklist 12: an empty policy refuses, and one that lets nobody speak', async () => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a caller without types could pass
      const empty = {} as HostJudgement['policy'];
      expect(await failed({}, { policy: empty })).toContain('host-policy');
      expect(await failed({}, { policy: { ...scene.policy, signers: [] } })).toContain('host-policy');
      expect(await failed({}, { policy: { ...scene.policy, pcrs: [0, 10] } })).toContain('host-policy');
    });
  });

  describe('what a log may be', () => {
    test('an entry that names a file by SHA-1, or by no digest, is no file; another template refuses', async () => {
      const [first, qemu, ...others] = scene.booted;
      if (first === undefined || qemu === undefined) throw new Error('an empty list');
      const old = { template: 'ima-ng', fields: [digestField('sha1:', new Uint8Array(20)), nameField(QEMU)] };
      expect(await failed({ ran: [first, old, ...others] })).toEqual(['host-files-ran', 'host-files-unaltered']);
      const other = { template: 'evm-sig', fields: Array.from({ length: 9 }, () => new Uint8Array()) };
      expect(
        await failed({ ran: [...scene.booted, { ...other, fields: [...qemu.fields, ...other.fields.slice(2)] }] }),
      ).toContain('host-ima-template');
    });

    test('a boot log with another bank, or out of order, refuses, unless the policy says why not', async () => {
      const two = parseEventLog(twoBanks());
      expect(two.algorithms.map(({ name }) => name)).toEqual(['sha1', 'sha256']);
      const lies = { eventLog: twoBanks() };
      expect(await failed(lies)).toEqual(['host-log-banks']);
      const because = (what: HostExceptionName): Partial<HostJudgement> => ({
        policy: { ...scene.policy, exceptions: [{ what, reason: 'this firmware is so' }] },
      });
      expect(await failed(lies, because('other-banks'))).toEqual([]);
      expect(await failed(lies, because('boot-order'))).toEqual(['host-log-banks']);
    });

    test('a log and a list that cannot be read say so', async () => {
      expect(await failed({ eventLog: utf8('no log') })).toContain('host-log-form');
      expect(await failed({ imaLog: utf8('no list') })).toContain('host-ima-form');
    });

    test('keys of another kind and questions without a time or a host', async () => {
      expect(await failed({ akPublic: utf8('no key') })).toContain('host-ak-form');
      for (const changes of [{ host: 'Not a host' }, { askedAt: new Date(Number.NaN) }, { vtpmCa: utf8('no CA') }]) {
        expect(await failed({}, { question: { ...scene.question, ...changes } })).toContain('host-question');
      }
    });
  });

  describe('what was read before', () => {
    test('is no reason to believe other logs of the same host', async () => {
      const evidence = await scene.evidence();
      expect(failedHostChecks(await scene.judge({}, { evidence }))).toEqual([]);
      const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.with(at, (bytes[at] ?? 0) ^ 1);
      // A byte of a digest near its middle: beginning and end stay what they were.
      const eventLog = flipped(evidence.eventLog, evidence.eventLog.indexOf(0x80, 2000) + 40);
      expect(failedHostChecks(await scene.judge({}, { evidence: { ...evidence, eventLog } }))).not.toEqual([]);
      const imaLog = flipped(evidence.imaLog, 100);
      expect(failedHostChecks(await scene.judge({}, { evidence: { ...evidence, imaLog } }))).toContain('host-ima-form');
      expect(failedHostChecks(await scene.judge({}, { evidence }))).toEqual([]);
    });

    test('is none to believe reference values that somebody altered since', async () => {
      const { reference } = scene;
      expect(() => Object.assign(reference, { host: 'hst_x' })).toThrow(TypeError);
      const altered = { ...reference, by: 'somebody else' };
      expect(await failed({}, { reference: altered })).toEqual(['host-reference-signature']);
      expect(await failed({})).toEqual([]);
    });
  });

  describe('bad input', () => {
    test('parts that are missing, empty, too large or of another kind are named', async () => {
      const whole = await scene.evidence();
      const verdictOf = async (evidence: unknown): Promise<string> => {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a caller without types could pass
        const given = evidence as HostJudgement['evidence'];
        return (await scene.judge({}, { evidence: given })).verdict.reasons.join('\n');
      };
      expect(await verdictOf({})).toContain('quote is missing');
      expect(await verdictOf(undefined)).toContain('its kind is not host-tpm');
      expect(await verdictOf({ ...whole, quote: new Uint8Array() })).toContain('quote is empty');
      expect(await verdictOf({ ...whole, eventLog: new Uint8Array(512 * 1024 + 1) })).toContain('eventLog has 524289');
      expect(await verdictOf({ ...whole, imaLog: new Uint8Array(1024 * 1024 + 1) })).toContain('imaLog has 1048577');
      expect(await verdictOf({ ...whole, ekCertificate: new Uint8Array() })).toBe('');
    });
  });
});

/** The real log as a firmware with a SHA-1 bank beside the other writes it. */
function twoBanks(): Uint8Array {
  const banks = [
    { algorithmId: 0x0004, digestBytes: 20 },
    { algorithmId: 0x000b, digestBytes: 32 },
  ];
  return encodeEventLog(
    banks,
    realEvents.map(({ digest, ...rest }) => ({ ...rest, digests: [new Uint8Array(20), digest] })),
  );
}
