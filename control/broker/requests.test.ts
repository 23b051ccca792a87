// What ringwalld may ask of a broker.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { newBootId, newMachineId } from '@ringwall/api';
import { referenceJson } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openVtpmCa } from '../ca/index.ts';
import { Secret } from '../keys/index.ts';
import { bootEvents, contentFor } from './testing/boot-log.ts';
import { SoftwareTpm } from './testing/guest-tpm.ts';
import { BrokerInstance, codeOf } from './testing/instance.ts';
import { signNow } from './testing/reference.ts';

let broker: BrokerInstance;

beforeEach(async () => {
  broker = await BrokerInstance.start();
});
afterEach(() => broker[Symbol.asyncDispose]());

describe('a request', () => {
  test('register-machine binds a machine to its EK for good', async () => {
    const machine = await broker.addMachine();
    await broker.register(machine.id, machine.ekCertificate);
    const tpm = await SoftwareTpm.make();
    const other = await broker.ca.issueEkCertificate(tpm.ekPublic, machine.id);
    expect(await codeOf(broker.register(machine.id, other))).toBe('conflict');
    expect((await broker.client.call({ op: 'status' })).machines).toBe(1);
  });

  test('register-machine refuses a certificate that could never be judged well', async () => {
    const id = newMachineId();
    const tpm = await SoftwareTpm.make();
    const good = await broker.ca.issueEkCertificate(tpm.ekPublic, id);
    using hostKey = Secret.random(32);
    const stranger = await openVtpmCa(join(broker.directory, 'stranger.json'), hostKey);
    const root = broker.ca.certificates[0] ?? new Uint8Array();
    expect(await codeOf(broker.register(newMachineId(), good))).toBe('bad-request');
    expect(await codeOf(broker.register(id, good, { vtpmCa: stranger.certificates }))).toBe('bad-request');
    expect(await codeOf(broker.register(id, good, { vtpmCa: [] }))).toBe('bad-request');
    expect(await codeOf(broker.register(id, root))).toBe('bad-request');
    expect(await codeOf(broker.register(id, new Uint8Array(Buffer.concat([good, Buffer.of(0)]))))).toBe('bad-request');
    expect(await codeOf(broker.register(id, new Uint8Array(5000)))).toBe('bad-request');
    expect(await codeOf(broker.register(id, good))).toBe('no error');
  });

  test('expect-boot is idempotent, and refuses another expectation or none', async () => {
    const machine = await broker.addMachine();
    const boot = newBootId();
    const signed = async (kernel?: string): Promise<Record<string, unknown>> =>
      referenceJson(await signNow(contentFor(bootEvents(kernel)), await broker.hostKey));
    const expectBoot = (reference: unknown): Promise<unknown> =>
      broker.client.call({ op: 'expect-boot', machine: machine.id, boot, reference });
    await expectBoot(await signed());
    await expectBoot(await signed());
    expect(await codeOf(expectBoot(await signed('another')))).toBe('conflict');
    expect(await codeOf(expectBoot({ version: 1 }))).toBe('bad-request');
    expect(await codeOf(expectBoot({ ...(await signed()), events: [] }))).toBe('bad-request');
    const packages = [{ name: 'a', version: '1' }];
    expect(await codeOf(expectBoot({ ...(await signed()), packages }))).toBe('bad-request');
  });

  test('forget-machine destroys the key in the file too, and is idempotent', async () => {
    const machine = await broker.addMachine();
    const wrapped = wrappedKeysIn(broker.stateDirectory);
    expect(wrapped).toBeGreaterThan(0);
    await broker.client.call({ op: 'forget-machine', machine: machine.id });
    await broker.client.call({ op: 'forget-machine', machine: machine.id });
    expect(wrappedKeysIn(broker.stateDirectory)).toBe(0);
    expect(await codeOf(broker.boot(machine))).toBe('not-found');
  });

  test('read-verdict knows no boot that was not expected', async () => {
    const machine = await broker.addMachine();
    expect(await codeOf(broker.verdict(machine, newBootId()))).toBe('not-found');
  });
});

/** How often the mark of a wrapped key stands in the store's files. */
function wrappedKeysIn(directory: string): number {
  return readdirSync(directory)
    .filter((name) => name.startsWith('broker.db'))
    .map((name) => readFileSync(join(directory, name)).toString('latin1').split('RWK\u0001').length - 1)
    .reduce((total, count) => total + count, 0);
}
