// Reference values in the broker: what is taken as it comes, what waits for a person, what a change would have meant, and
// why a machine differs. With guests whose TPM is software.
import { newBootId, type ReferenceSubject } from '@ringwall/api';
import { fromHex, toHex } from '@ringwall/bytes';
import {
  defaultPolicy,
  parseProof,
  policyJson,
  referenceJson,
  verifyEar,
  verifyProof,
  type PolicyV2,
} from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerStore } from './store.ts';
import { bootEvents, contentFor, sha256 } from './testing/boot-log.ts';
import { imageDigest } from './testing/image.ts';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';
import { makeReferenceKey, signNow } from './testing/reference.ts';
import { EVIDENCE_KEPT } from './history.ts';
import { REFERENCES_KEPT } from './reference-store.ts';

let broker: BrokerInstance;
let machine: TestMachine;
beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
});
afterEach(() => broker[Symbol.asyncDispose]());

const SHOWN_CHARACTERS = 12;
const OLD_DIGEST = imageDigest().slice(0, SHOWN_CHARACTERS);
const NEW_DIGEST = imageDigest('55').slice(0, SHOWN_CHARACTERS);
const NEW = { measured: bootEvents('a new kernel'), expected: bootEvents('a new kernel'), image: '55' };
const HELLO: ReferenceSubject = { image: 'hello' };

/** A boot up to its verdict; opened where it may be. */
async function boot(options: Parameters<BrokerInstance['boot']>[1] = {}): Promise<{ state: string; reasons: string }> {
  const { boot: id, guest } = await broker.boot(machine, options);
  const answer = await guest.send(await guest.evidence(await guest.hello()));
  if (answer.lines[0]?.startsWith('release ') === true) {
    const { mode } = await guest.open(answer, await broker.brokerKey());
    await guest.reportUnlocked(mode === 'format' ? 'formatted' : 'opened', id);
  }
  const { state, reasons } = await broker.verdict(machine, id);
  return { state, reasons: reasons.join('\n') };
}

const states = async (): Promise<string[]> =>
  (await broker.client.call({ op: 'list-references' })).references.map(({ state, how }) => `${state} ${how}`);

describe('reference values', () => {
  test('of the first image from the first host are taken, and so is another size of machine of the same files', async () => {
    expect((await boot()).state).toBe('unlocked');
    const larger = bootEvents('a kernel with more memory');
    expect((await boot({ measured: larger, expected: larger })).state).toBe('unlocked');
    expect(await states()).toEqual(['accepted same-artefacts', 'accepted first-use']);
  });

  test('that a tenant has signed take the place of the first use, in proofs too, whatever the host says later', async () => {
    await boot();
    const tenant = await makeReferenceKey();
    const reference = referenceJson(await signNow(contentFor(bootEvents()), tenant));
    await broker.client.call({ op: 'accept-reference', subject: { reference } });
    expect(await states()).toEqual(['accepted command']);
    // The host signs anew at each start, with a longer life.
    const id = newBootId();
    const days = (count: number): Date => new Date(Date.now() + count * 86_400_000);
    const longer = await signNow(contentFor(bootEvents()), await broker.hostKey, days(0.5));
    await broker.client.call({ op: 'expect-boot', machine: machine.id, boot: id, reference: referenceJson(longer) });
    expect((await boot()).state).toBe('unlocked');
    expect(await states()).toEqual(['accepted command']);
    const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
    const report = await verifyProof(parseProof(JSON.stringify(proof)), {
      brokerKey: fromHex(await broker.brokerKey()),
      referenceKey: tenant.publicKey,
      now: new Date(),
    });
    expect(report.outcome).toBe('proven');
  });

  test('that a tenant has accepted before the first boot leave nothing to first use', async () => {
    const tenant = await makeReferenceKey();
    const reference = referenceJson(await signNow(contentFor(bootEvents('the tenant’s kernel')), tenant));
    await broker.client.call({ op: 'accept-reference', subject: { reference } });
    const { state, reasons } = await boot();
    expect(state).toBe('refused');
    expect(reasons).toContain('nobody has accepted that yet');
  });

  test('of the same files with another command line wait: it names the broker that the guest will believe', async () => {
    await boot();
    const line = {
      pcr: 9,
      type: 'EV_EVENT_TAG',
      data: new Uint8Array(4),
      measured: Uint8Array.of(1),
      what: 'command line',
    };
    const other = [...bootEvents(), line];
    const { state, reasons } = await boot({ measured: other, expected: other });
    expect(state).toBe('refused');
    expect(reasons).toContain('the command line of the image hello has changed, and nobody has accepted that yet');
    expect(await states()).toEqual(['proposed not-yet', 'accepted first-use']);
  });

  test('of a changed image wait: the machine is refused, and told which commands show and accept it', async () => {
    await boot();
    const { state, reasons } = await boot(NEW);
    expect(state).toBe('refused');
    expect(reasons).toContain(`the image hello has changed (sha256 ${NEW_DIGEST}, accepted is ${OLD_DIGEST})`);
    for (const verb of ['diff', 'try', 'accept']) expect(reasons).toContain(`ringwall reference ${verb} hello`);
    expect(reasons).toContain('kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): measured');
    expect(await states()).toEqual(['proposed not-yet', 'accepted first-use']);
  });

  test('are reviewed, tried and accepted in steps; then the new image starts, and the old one does no longer', async () => {
    await boot();
    await boot(NEW);
    const { sentences } = await broker.client.call({ op: 'diff-reference', subject: HELLO });
    expect(sentences.join('\n')).toContain(`the image is another: hello ${OLD_DIGEST}…, now hello ${NEW_DIGEST}…`);
    expect(sentences.join('\n')).toContain('kernel (PCR 4) is expected as');

    const before = await states();
    const { tried, left } = await broker.client.call({ op: 'try-reference', subject: HELLO });
    expect(left).toBe(0);
    expect(tried.map(({ was, would }) => `${was} ${would}`)).toEqual(['refused accepted', 'accepted refused']);
    expect(tried[1]?.reasons.join('\n')).toContain('kernel');
    expect(await states()).toEqual(before);

    const accepted = await broker.client.call({ op: 'accept-reference', subject: HELLO });
    expect(accepted).toMatchObject({ subject: 'hello', accepted: [expect.any(String)], retired: [expect.any(String)] });
    expect((await boot(NEW)).state).toBe('unlocked');
    const old = await boot();
    expect(old.state).toBe('refused');
    expect(old.reasons).toContain('nobody has accepted that yet');
  });

  test('of the old image can be accepted again from a file, for a way back', async () => {
    await boot();
    await boot(NEW);
    await broker.client.call({ op: 'accept-reference', subject: HELLO });
    const reference = referenceJson(await signNow(contentFor(bootEvents()), await makeReferenceKey()));
    await broker.client.call({ op: 'accept-reference', subject: { reference } });
    expect((await boot()).state).toBe('unlocked');
  });

  test('of another host count for nothing until a person accepts them', async () => {
    await boot();
    const id = newBootId();
    const stranger = await makeReferenceKey();
    await broker.expect(machine.id, id, contentFor(bootEvents('evil')), stranger);
    const guest = await broker.connect(machine, id);
    await guest.boot(bootEvents('evil'));
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.lines[0]).toBe('refused');
    expect(answer.reasons.join('\n')).toContain('the signer of the image hello has changed');
  });

  test('are refused with a signature that does not hold, and when they have expired', async () => {
    const signed = referenceJson(await signNow(contentFor(bootEvents()), await makeReferenceKey()));
    const expect_ = (reference: unknown): Promise<unknown> =>
      broker.client.call({ op: 'expect-boot', machine: machine.id, boot: newBootId(), reference });
    expect(await codeOf(expect_({ ...signed, notAfter: '2027-01-01T00:00:00.000Z' }))).toBe('bad-request');
    const old = await signNow(contentFor(bootEvents()), await makeReferenceKey(), new Date('2020-01-01T00:00:00Z'));
    expect(await codeOf(expect_(referenceJson(old)))).toBe('conflict');
    expect(
      await codeOf(broker.client.call({ op: 'accept-reference', subject: { reference: referenceJson(old) } })),
    ).toBe('bad-request');
  });

  test('that nobody proposed cannot be accepted', async () => {
    expect(await codeOf(broker.client.call({ op: 'accept-reference', subject: HELLO }))).toBe('not-found');
    await boot();
    expect(await codeOf(broker.client.call({ op: 'diff-reference', subject: HELLO }))).toBe('not-found');
  });

  test('are kept in bounds, and those that count are kept first', async () => {
    await boot();
    const key = await broker.hostKey;
    for (let version = 0; version < REFERENCES_KEPT + 8; version += 1) {
      const content = contentFor(bootEvents(`kernel ${String(version)}`), (0x60 + (version % 64)).toString(16));
      await broker.client.call({ op: 'propose-reference', reference: referenceJson(await signNow(content, key)) });
    }
    const kept = await states();
    expect(kept).toHaveLength(REFERENCES_KEPT);
    expect(kept).toContain('accepted first-use');
  });
});

describe('a policy', () => {
  const policy = (rules: PolicyV2['rules']): Record<string, unknown> => {
    const { bank, pcrs, untouchedPcrs } = defaultPolicy;
    return { ...policyJson({ version: 2, evidence: ['vtpm'], bank, pcrs, untouchedPcrs, rules }) };
  };
  const deny = policy([
    { effect: 'deny', pcr: 4, digests: [toHex(sha256(new TextEncoder().encode('a kernel')))], reason: 'it has a hole' },
  ]);

  test('is tried on the evidence of all machines, and changes nothing until it is accepted', async () => {
    await boot();
    const { sentences } = await broker.client.call({ op: 'diff-reference', subject: { policy: deny } });
    expect(sentences.join('\n')).toContain('a new rule: deny events in PCR 4 with 1 digest(s), because it has a hole');
    const { tried } = await broker.client.call({ op: 'try-reference', subject: { policy: deny } });
    expect(tried).toMatchObject([
      { was: 'accepted', would: 'refused', reasons: [expect.stringContaining('it has a hole')] },
    ]);
    expect((await boot()).state).toBe('unlocked');
    await broker.client.call({ op: 'accept-reference', subject: { policy: deny } });
    expect((await boot()).reasons).toContain('the policy never allows it: it has a hole');
    await broker.restart();
    expect((await boot()).state).toBe('refused');
  });

  test('checklist 12: that is empty, or that no guest could meet, is never accepted', async () => {
    for (const bad of [{}, { version: 2 }, { ...policyJson(defaultPolicy), pcrs: [0], untouchedPcrs: [] }]) {
      expect(await codeOf(broker.client.call({ op: 'accept-reference', subject: { policy: bad } }))).toBe(
        'bad-request',
      );
    }
  });
});

describe('explain-machine', () => {
  test('says which event changed, and what it was at the last good boot', async () => {
    expect(await codeOf(broker.client.call({ op: 'explain-machine', machine: machine.id }))).toBe('not-found');
    await boot();
    await boot({ measured: bootEvents('an evil kernel') });
    const why = await broker.client.call({ op: 'explain-machine', machine: machine.id });
    expect(why).toMatchObject({ outcome: 'refused', lastGoodAt: expect.any(String) });
    expect(why.sentences[0]).toContain('kernel (PCR 4, EV_EFI_BOOT_SERVICES_APPLICATION): measured');
    expect(why.sentences.join('\n')).toContain('at the last good boot');
    expect(why.differences).toHaveLength(1);
  });

  test('recognises an image that waits to be accepted', async () => {
    await boot();
    await boot(NEW);
    const { sentences } = await broker.client.call({ op: 'explain-machine', machine: machine.id });
    expect(sentences.join('\n')).toContain(`what was measured is the kernel of hello (sha256 ${NEW_DIGEST}…)`);
  });

  test('says so where no quote covers the log', async () => {
    await boot();
    const { guest } = await broker.boot(machine);
    const evidence = await guest.evidence(await guest.hello());
    const log = evidence.eventLog.slice();
    log[log.length - 60] = (log[log.length - 60] ?? 0) ^ 1;
    await guest.send({ ...evidence, eventLog: log });
    const { sentences } = await broker.client.call({ op: 'explain-machine', machine: machine.id });
    expect(sentences[0]).toContain('only the word of whoever sent it');
  });
});

describe('read-ear', () => {
  test('is a token that the broker’s key verifies, for the nonce of the boot', async () => {
    await boot();
    const { token } = await broker.client.call({ op: 'read-ear', machine: machine.id });
    const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
    const { nonce } = parseProof(JSON.stringify(proof)).challenge;
    const ear = await verifyEar(token, { publicKey: fromHex(await broker.brokerKey()), now: new Date(), nonce });
    expect(ear.appraisals).toMatchObject([{ name: machine.id, status: 'affirming' }]);
  });
});

describe('the history of evidence', () => {
  test('is bounded, and keeps the last good boot however many bad ones follow', async () => {
    await boot();
    for (let count = 0; count < EVIDENCE_KEPT + 2; count += 1) await boot({ measured: bootEvents('evil') });
    const why = await broker.client.call({ op: 'explain-machine', machine: machine.id });
    expect(why.lastGoodAt).toBeDefined();
    await broker.stop();
    using store = BrokerStore.open(`${broker.stateDirectory}/broker.db`);
    const kept = store.history.read(machine.id);
    expect(kept).toHaveLength(EVIDENCE_KEPT + 1);
    expect(kept.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(1);
  });
});
