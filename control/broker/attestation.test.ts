// What a broker does with evidence: when it releases the key, and when it does not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '@ringwall/bytes';
import { parseProof, type VtpmEvidence } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openVtpmCa } from '../ca/index.ts';
import { Secret } from '../keys/index.ts';
import { bootEvents } from './testing/boot-log.ts';
import { SoftwareTpm } from './testing/guest-tpm.ts';
import { BrokerInstance, codeOf } from './testing/instance.ts';

let broker: BrokerInstance;
/** The broker's monotonic clock, which a test may turn on. */
let monotonicMs = 0;

beforeEach(async () => {
  monotonicMs = 0;
  broker = await BrokerInstance.start({ monotonicMs: () => monotonicMs });
});
afterEach(() => broker[Symbol.asyncDispose]());

function auditLog(): string {
  return readFileSync(join(broker.stateDirectory, 'audit.log'), 'utf8');
}

function proofOf(value: unknown): ReturnType<typeof parseProof> {
  return parseProof(JSON.stringify(value));
}

describe('an attestation', () => {
  test('releases the key at first to format and then to open, the same key, and says what was proven', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    const first = await broker.boot(machine);
    expect(await broker.verdict(machine, first.boot)).toEqual({ state: 'pending', reasons: [], proven: [] });
    const formatted = await first.guest.unlock(brokerKey);
    expect(formatted.mode).toBe('format');
    expect(formatted.key).toHaveLength(32);
    expect(formatted.answer.lines).toEqual(['done']);
    const verdict = await broker.verdict(machine, first.boot);
    expect(verdict).toMatchObject({ state: 'unlocked', reasons: [] });
    expect(verdict.proven.length).toBeGreaterThan(0);

    const second = await broker.boot(machine);
    const opened = await second.guest.unlock(brokerKey);
    expect(opened.mode).toBe('open');
    expect(toHex(opened.key)).toBe(toHex(formatted.key));
    expect(toHex(opened.challenged.nonce)).not.toBe(toHex(formatted.challenged.nonce));
  });

  test('leaves a proof that names machine, boot and nonce, and is confirmed only by the unlocking', async () => {
    const machine = await broker.addMachine();
    expect(await codeOf(broker.client.call({ op: 'read-proof', machine: machine.id }))).toBe('not-found');
    const { boot, guest } = await broker.boot(machine);
    const challenged = await guest.hello();
    const answer = await guest.send(await guest.evidence(challenged));
    const sent = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(sent).toMatchObject({ activation: 'unconfirmed', verdict: { outcome: 'accepted' } });
    expect((await broker.verdict(machine, boot)).state).toBe('accepted');

    await guest.open(answer, await broker.brokerKey());
    await guest.reportUnlocked('formatted', boot);
    const proof = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(proof).toMatchObject({
      activation: 'confirmed',
      machine: { id: machine.id, name: 'hello' },
      challenge: { machine: machine.id, boot, nonce: challenged.nonce },
    });
    expect(toHex(proof.broker.publicKey)).toBe(await broker.brokerKey());
  });

  test('refuses a boot that measured another kernel, names the event, and keeps a proof of it', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine, { measured: bootEvents('an evil kernel') });
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.lines[0]).toBe('refused');
    expect(answer.reasons.join('\n')).toContain('kernel');
    const verdict = await broker.verdict(machine, boot);
    expect(verdict.state).toBe('refused');
    expect(verdict.reasons.join('\n')).toContain('kernel');
    const proof = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(proof.verdict.outcome).toBe('refused');
  });

  test('shows no proof of a better day once a later boot was refused', async () => {
    const machine = await broker.addMachine();
    await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
    const { boot, guest } = await broker.boot(machine, { measured: bootEvents('an evil kernel') });
    await guest.send(await guest.evidence(await guest.hello()));
    const proof = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(proof).toMatchObject({ challenge: { boot }, verdict: { outcome: 'refused' } });
  });

  test('checklist 3: refuses evidence that answered an earlier nonce', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    const old = await guest.evidence(await guest.hello());
    const released = await guest.send(old);
    expect(released.lines[0]).toMatch(/^release /);
    await guest.hello();
    const replayed = await guest.send(old);
    expect(replayed.lines[0]).toBe('refused');
    expect(replayed.reasons.join('\n')).toMatch(/nonce|another question/);
  });

  test('checklist 3: refuses the nonce of another session, of another machine and of an earlier boot', async () => {
    const machine = await broker.addMachine();
    const other = await broker.addMachine();
    const early = await broker.boot(machine);
    const stale = await early.guest.hello();
    const elsewhere = await broker.boot(other);
    const foreign = await elsewhere.guest.hello();
    const { boot, guest } = await broker.boot(machine);
    const own = await guest.hello();
    for (const forged of [
      { ...own, nonce: stale.nonce },
      { ...own, nonce: foreign.nonce },
      { ...own, machine: other.id },
      { ...own, boot: stale.boot },
    ]) {
      const again = await broker.connect(machine, boot);
      await again.boot(bootEvents());
      await again.hello();
      const answer = await again.send(await again.evidence(forged));
      expect(answer.lines[0]).toBe('refused');
      expect(answer.lines).not.toContain('release');
    }
  });

  test('checklist 3: refuses evidence that comes later than its nonce lives', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    const evidence = await guest.evidence(await guest.hello());
    monotonicMs += 60_001;
    const answer = await guest.send(evidence);
    expect(answer.reasons).toEqual(['the evidence came later than 60 s after its challenge']);
  });

  test('checklist 12: refuses the TPM of another machine, and one of another CA', async () => {
    const machine = await broker.addMachine();
    const other = await broker.addMachine();
    const { boot, guest } = await broker.boot({ ...machine, tpm: other.tpm, ekCertificate: other.ekCertificate });
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.reasons.join('\n')).toContain('not the one that this machine was registered with');

    using hostKey = Secret.random(32);
    const stranger = await openVtpmCa(join(broker.directory, 'stranger.json'), hostKey);
    const tpm = await SoftwareTpm.make();
    const ekCertificate = await stranger.issueEkCertificate(tpm.ekPublic, machine.id);
    const foreign = await broker.connect({ ...machine, ekCertificate }, boot, tpm);
    await foreign.boot(bootEvents());
    const refused = await foreign.send(await foreign.evidence(await foreign.hello()));
    expect(refused.reasons.join('\n')).toContain('not signed by a vTPM CA that is trusted');
  });

  test('gives a software key that poses as attestation key no key, no confirmed proof and no open disk', async () => {
    const machine = await broker.addMachine();
    // The attacker knows the certificate and what a good boot measures: all of that is public.
    const forger = await SoftwareTpm.make();
    const { boot, guest } = await broker.boot(machine, { tpm: forger });
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    await expect(guest.open(answer, await broker.brokerKey())).rejects.toThrow('TPM_RC_INTEGRITY');
    const lie = await guest.reportUnlocked('formatted', boot);
    expect(lie.lines[0]).toBe('refused');
    const verdict = await broker.verdict(machine, boot);
    expect(verdict.state).toBe('failed');
    expect(verdict.reasons.join('\n')).toContain('could not show that its TPM opened the credential');
    const proof = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(proof.activation).toBe('unconfirmed');
    const honest = await broker.boot(machine);
    expect((await honest.guest.unlock(await broker.brokerKey())).mode).toBe('format');
  });

  test('checklist 15: gives the second half of the key to nobody once the disk is unlocked', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    const brokerKey = await broker.brokerKey();
    await guest.unlock(brokerKey);
    const later = await broker.connect(machine, boot);
    await expect(later.boot(bootEvents())).resolves.toBeUndefined();
    // The same start of the TPM, PCR 15 as it was before: what an attacker with a second TPM driver would want.
    machine.tpm.clockInfo = { ...machine.tpm.clockInfo, resetCount: machine.tpm.clockInfo.resetCount - 1 };
    const answer = await later.send(await later.evidence(await later.hello()));
    expect(answer.reasons.join('\n')).toContain('a key is released once a start');
    expect((await broker.verdict(machine, boot)).state).toBe('unlocked');
  });

  test('checklist 6: refuses a copy of a TPM that starts beside the original, though nobody reported the first key', async () => {
    const machine = await broker.addMachine();
    await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
    const copy = { ...machine.tpm.clockInfo };
    const first = await broker.boot(machine);
    const released = await first.guest.send(await first.guest.evidence(await first.guest.hello()));
    expect(released.lines[0]).toMatch(/^release /);
    machine.tpm.clockInfo = copy;
    const { guest } = await broker.boot(machine);
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.reasons.join('\n')).toContain('the TPM is a copy, or was rolled back');
  });

  test('binds the attestation key that was shown to be in the TPM, and refuses any other from then on', async () => {
    const machine = await broker.addMachine();
    await (await broker.boot(machine)).guest.unlock(await broker.brokerKey());
    // The EK certificate is right, the key is of a stranger: without the binding, its clock would be believed.
    const { guest } = await broker.boot(machine, { tpm: await SoftwareTpm.make() });
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.reasons.join('\n')).toContain('the attestation key is not the one');
    expect((await (await broker.boot(machine)).guest.unlock(await broker.brokerKey())).mode).toBe('open');
  });

  test('checklist 6: refuses a TPM whose state was rolled back', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    const copy = { ...machine.tpm.clockInfo };
    await (await broker.boot(machine)).guest.unlock(brokerKey);
    machine.tpm.clockInfo = copy;
    const { boot, guest } = await broker.boot(machine);
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.reasons.join('\n')).toContain('the TPM was rolled back');
    expect(await broker.verdict(machine, boot)).toMatchObject({ state: 'refused' });
  });

  test('lets a machine attest again that was reset within its boot', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    const { boot, guest } = await broker.boot(machine);
    await guest.unlock(brokerKey);
    const again = await broker.connect(machine, boot);
    await again.boot(bootEvents());
    expect((await again.unlock(brokerKey)).mode).toBe('open');
  });

  test('releases again where the guest did not get the answer', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    await guest.send(await guest.evidence(await guest.hello()));
    guest.lines.close();
    await broker.restart();
    const again = await broker.connect(machine, boot);
    await again.boot(bootEvents());
    expect((await again.unlock(await broker.brokerKey())).mode).toBe('format');
    expect((await broker.verdict(machine, boot)).state).toBe('unlocked');
  });

  test('understands the report of a release that an earlier run of the broker made, twice if need be', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    await guest.open(await guest.send(await guest.evidence(await guest.hello())), await broker.brokerKey());
    await broker.restart();
    const times = new Set<string | undefined>();
    for (const _ of [1, 2]) {
      const later = await broker.connect(machine, boot);
      later.resume(guest);
      expect((await later.reportUnlocked('formatted', boot)).lines).toEqual(['done']);
      const verdict = await broker.verdict(machine, boot);
      expect(verdict.state).toBe('unlocked');
      times.add(verdict.at);
    }
    expect(times.size).toBe(1);
    const proof = proofOf((await broker.client.call({ op: 'read-proof', machine: machine.id })).proof);
    expect(proof).toMatchObject({ activation: 'confirmed', challenge: { boot } });
  });

  test('skips what was meant for a session that was cut off, and begins with hello', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    guest.lines.send('0a1b2c\nevent-log 00ff\nog 12\nend\nevent-log 00hello 1\n');
    expect((await guest.unlock(await broker.brokerKey())).mode).toBe('format');
  });

  test('takes no report of an unlocking where no key was released', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    expect((await guest.reportUnlocked('opened', boot)).reasons).toEqual(['no key was released to this boot']);
    expect((await broker.verdict(machine, boot)).state).toBe('pending');
  });

  test('writes down what the guest says of its failure, and not over a refusal or an unlocking', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    guest.lines.send('failed the disk has another header\n');
    expect((await guest.lines.answer()).lines).toEqual(['done']);
    expect(await broker.verdict(machine, boot)).toMatchObject({
      state: 'failed',
      reasons: ['the guest says: the disk has another header'],
    });
    const again = await broker.connect(machine, boot);
    await again.boot(bootEvents());
    await again.unlock(await broker.brokerKey());
    const last = await broker.connect(machine, boot);
    last.lines.send('failed everything\n');
    await last.lines.answer();
    expect((await broker.verdict(machine, boot)).state).toBe('unlocked');
  });

  test('refuses a guest that formatted a disk that it was told to open', async () => {
    const machine = await broker.addMachine();
    const brokerKey = await broker.brokerKey();
    await (await broker.boot(machine)).guest.unlock(brokerKey);
    const { boot, guest } = await broker.boot(machine);
    await guest.open(await guest.send(await guest.evidence(await guest.hello())), brokerKey);
    expect((await guest.reportUnlocked('formatted', boot)).lines[0]).toBe('refused');
    expect((await broker.verdict(machine, boot)).state).toBe('failed');
  });
});

describe('evidence that is no evidence', () => {
  const mutations: [string, (evidence: VtpmEvidence) => VtpmEvidence][] = [
    ['a public area that is too large', (good) => ({ ...good, akPublic: new Uint8Array(2000) })],
    ['a certificate of rubbish', (good) => ({ ...good, ekCertificate: new Uint8Array(2000).fill(0x30) })],
    ['an event log of rubbish', (good) => ({ ...good, eventLog: new Uint8Array(60_000).fill(0xff) })],
    [
      'a quote that is a certification',
      (good) => ({ ...good, quote: good.certify, quoteSignature: good.certifySignature }),
    ],
    ['a signature that is cut', (good) => ({ ...good, quoteSignature: good.quoteSignature.slice(0, -1) })],
    ['no quote to speak of', (good) => ({ ...good, quote: Uint8Array.of(0) })],
    ['an event log without its end', (good) => ({ ...good, eventLog: good.eventLog.slice(0, -1) })],
  ];
  test.each(mutations)('is refused with reasons: %s', async (_name, mutate) => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    const answer = await guest.send(mutate(await guest.evidence(await guest.hello())));
    expect(answer.lines[0]).toBe('refused');
    expect(answer.reasons.length).toBeGreaterThan(0);
    const verdict = await broker.verdict(machine, boot);
    expect(verdict.state).toBe('refused');
    expect(verdict.reasons.length).toBeGreaterThan(0);
    expect(auditLog()).not.toContain('"internal"');
  });
});
