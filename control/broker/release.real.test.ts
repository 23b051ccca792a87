// A whole attestation with a real TPM: what the broker releases comes out of swtpm, once, and only there.
import { concatBytes, fromHex, toHex } from '@ringwall/bytes';
import { parseProof, verifyProof } from '@ringwall/evidence';
import { bodyOf, TpmError } from '@ringwall/tpm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEEDS_SWTPM, SWTPM_PRESENT } from '../../testkit/plain-tpm.ts';
import { bootEvents } from './testing/boot-log.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';
import { SwtpmGuest } from './testing/swtpm-guest.ts';

describe.skipIf(!SWTPM_PRESENT)(`a release to swtpm${NEEDS_SWTPM}`, () => {
  let broker: BrokerInstance;
  let machine: TestMachine<SwtpmGuest>;

  beforeAll(async () => {
    broker = await BrokerInstance.start();
    machine = await broker.adopt(await SwtpmGuest.start());
  });
  afterAll(async () => {
    await machine.tpm[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
  });

  test('unlocks once, leaves a proof that verifies, and not again in the same start', async () => {
    const brokerKey = await broker.brokerKey();
    const { boot, guest } = await broker.boot(machine);
    const evidence = await guest.evidence(await guest.hello());
    const answer = await guest.send(evidence);
    const { mode, key } = await guest.open(answer, brokerKey);
    expect(mode).toBe('format');
    expect(key).toHaveLength(32);
    // The same release opens as often as the guest likes, until it extends PCR 15.
    expect(toHex((await guest.open(answer, brokerKey)).key)).toBe(toHex(key));
    expect((await guest.reportUnlocked('formatted', boot)).lines).toEqual(['done']);
    expect(await broker.verdict(machine, boot)).toMatchObject({ state: 'unlocked' });
    await expect(guest.open(answer, brokerKey)).rejects.toMatchObject({ code: 'policy' });

    const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
    const report = await verifyProof(parseProof(JSON.stringify(proof)), {
      brokerKey: fromHex(brokerKey),
      trustedRoots: broker.ca.certificates,
      now: new Date(),
    });
    expect(report).toMatchObject({ outcome: 'proven', reasons: [] });

    const again = await broker.connect(machine, boot);
    again.resume(guest);
    const refused = await again.send(await again.evidence(await again.hello()));
    expect(refused.lines[0]).toBe('refused');
    expect((await broker.verdict(machine, boot)).state).toBe('unlocked');
  });

  test('a release with any part altered is refused by the TPM that checks it', async () => {
    await using tpm = await SwtpmGuest.start();
    const other = await broker.adopt(tpm);
    const brokerKey = await broker.brokerKey();
    const { guest } = await broker.boot(other);
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    const words = (answer.lines[0] ?? '').split(' ');
    const altered = [
      words.with(1, 'open'),
      ...[2, 3, 4, 5, 6, 7].map((index) => words.with(index, flipLastBit(words[index] ?? ''))),
    ];
    for (const line of altered) {
      const forged = { ...answer, lines: [line.join(' ')] };
      await expect(guest.open(forged, brokerKey)).rejects.toThrow('not signed with the broker key');
    }
    const stranger = `${brokerKey.slice(64)}${brokerKey.slice(0, 64)}`;
    await expect(guest.open(answer, stranger)).rejects.toThrow(TpmError);
    expect((await guest.open(answer, brokerKey)).key).toHaveLength(32);
  });

  test('a release does not open in another TPM, nor once a PCR has changed', async () => {
    await using tpm = await SwtpmGuest.start();
    const other = await broker.adopt(tpm);
    const brokerKey = await broker.brokerKey();
    const { guest } = await broker.boot(other);
    const answer = await guest.send(await guest.evidence(await guest.hello()));

    await using thief = await SwtpmGuest.start();
    await thief.boot(bootEvents());
    const [idObject, encryptedSecret] = (answer.lines[0] ?? '')
      .split(' ')
      .slice(2, 4)
      .map((hex) => fromHex(hex));
    if (idObject === undefined || encryptedSecret === undefined) throw new Error('no release');
    await expect(thief.activate(idObject, encryptedSecret)).rejects.toThrow(TpmError);

    bodyOf(await tpm.raw.guest('extendUnlocked', { digest: new Uint8Array(32) }));
    await expect(guest.open(answer, brokerKey)).rejects.toMatchObject({ code: 'policy' });
  });

  test('a boot that measured another kernel gets no release', async () => {
    await using tpm = await SwtpmGuest.start();
    const other = await broker.adopt(tpm);
    const { boot, guest } = await broker.boot(other, { measured: bootEvents('an evil kernel') });
    const answer = await guest.send(await guest.evidence(await guest.hello()));
    expect(answer.lines[0]).toBe('refused');
    expect(answer.reasons.join('\n')).toContain('kernel');
    expect((await broker.verdict(other, boot)).state).toBe('refused');
  });
});

function flipLastBit(hex: string): string {
  const bytes = fromHex(hex);
  const last = (bytes.at(-1) ?? 0) ^ 1;
  return toHex(concatBytes(bytes.slice(0, -1), Uint8Array.of(last)));
}
