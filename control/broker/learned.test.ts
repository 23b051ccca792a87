// Machines that boot a system of their own: what their first boot measured is learned, accepted by name, and demanded from
// then on. With guests whose TPM is software, and logs as a witness writes them.
import { newBootId, type BootId } from '@ringwall/api';
import type { BrokerResponse } from '@ringwall/api/broker';
import { fromHex, utf8 } from '@ringwall/bytes';
import { learnedImage, parseProof, referenceJson, verifyProof, type ReferenceContent } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bootEvents, contentFor, type BootEvent } from './testing/boot-log.ts';
import { BrokerInstance, codeOf, type TestMachine } from './testing/instance.ts';
import { signNow } from './testing/reference.ts';

let broker: BrokerInstance;
let machine: TestMachine;
beforeEach(async () => {
  broker = await BrokerInstance.start();
  machine = await broker.addMachine();
});
afterEach(() => broker[Symbol.asyncDispose]());

const SUBJECT = { image: 'learned:hello' };
const [FIRMWARE] = bootEvents();

/** As a witness sees it: separators have names, all else is a digest. */
function seen(pcr: number, what: string): BootEvent {
  return { pcr, type: 'EV_COMPACT_HASH', data: new Uint8Array(), measured: utf8(what), what };
}

function system(commandLine: string): BootEvent[] {
  const separators = bootEvents().filter(({ type }) => type === 'EV_SEPARATOR');
  const table = seen(5, 'a partition table');
  return [...separators, table, seen(4, 'a boot loader'), seen(12, commandLine), seen(14, 'a certificate of shim')];
}

/** What the host says of its firmware: PCR 0, whatever it boots. */
async function firmware(): Promise<ReferenceContent> {
  const content = contentFor(FIRMWARE === undefined ? [] : [FIRMWARE]);
  return { ...content, for: { ...content.for, image: await learnedImage({ id: machine.id, name: machine.id }) } };
}

async function start(): Promise<BootId> {
  const id = newBootId();
  await broker.expect(machine.id, id, await firmware());
  return id;
}

/** A boot up to its verdict. */
async function boot(measured: readonly BootEvent[]): Promise<BrokerResponse<'read-verdict'> & { last: string }> {
  const id = await start();
  const guest = await broker.connect(machine, id);
  await guest.boot(measured);
  const answer = await guest.send(await guest.evidence(await guest.hello()));
  if (answer.lines[0]?.startsWith('release ') === true) {
    const { mode } = await guest.open(answer, await broker.brokerKey());
    await guest.reportUnlocked(mode === 'format' ? 'formatted' : 'opened', id);
  }
  return { ...(await broker.verdict(machine, id)), last: answer.lines.at(-1) ?? '' };
}

const accept = async (): Promise<unknown> => broker.client.call({ op: 'accept-reference', subject: SUBJECT });

describe('a machine that boots a system of its own', () => {
  test('is not attested at its first boot, gets no key, and shows what it measured', async () => {
    const verdict = await boot(system('quiet'));
    expect(verdict).toMatchObject({ state: 'refused', learned: true, last: 'done' });
    expect(verdict.reasons.join()).toContain('ringwall reference accept learned:hello');
    expect(verdict.proven.join('\n')).toMatch(/PCR 0: separator.*PCR 4: boot loader or kernel.*PCR 12/s);
    expect((await broker.client.call({ op: 'list-references' })).references).toMatchObject([{ state: 'proposed' }]);
  });

  test('stays so until a person has accepted it by name', async () => {
    await boot(system('quiet'));
    expect(await boot(system('quiet'))).toMatchObject({ learned: true });
    await accept();
    const verdict = await boot(system('quiet'));
    expect(verdict).toMatchObject({ state: 'unlocked' });
    expect(verdict.learned).toBeUndefined();
    expect(verdict.proven.join()).toContain('those that were learned and accepted for hello');
  });

  test('has a proof that holds offline once it was accepted, and none before', async () => {
    const report = async (): Promise<string> => {
      const { proof } = await broker.client.call({ op: 'read-proof', machine: machine.id });
      const brokerKey = fromHex(await broker.brokerKey());
      return (await verifyProof(parseProof(JSON.stringify(proof)), { brokerKey, now: new Date() })).outcome;
    };
    await boot(system('quiet'));
    expect(await report()).toBe('refused');
    await accept();
    await boot(system('quiet'));
    expect(await report()).toBe('proven');
  });

  test('is refused with another command line, by PCR and both digests, until that is accepted, too', async () => {
    await boot(system('quiet'));
    await accept();
    const verdict = await boot(system('quiet init=/bin/sh'));
    expect(verdict).toMatchObject({ state: 'refused' });
    expect(verdict.learned).toBeUndefined();
    expect(verdict.reasons).toHaveLength(1);
    expect(verdict.reasons[0]).toMatch(/kernel command line.*PCR 12.*measured [0-9a-f]{12}…, expected [0-9a-f]{12}…/);
    await accept();
    expect(await boot(system('quiet init=/bin/sh'))).toMatchObject({ state: 'unlocked' });
    expect(await boot(system('quiet'))).toMatchObject({ state: 'refused' });
  });

  test('may have another partition table: a cloud image grows it at its first boot', async () => {
    await boot(system('quiet'));
    await accept();
    const grown = system('quiet').map((event) =>
      event.pcr === 5 && event.data.length === 0 ? seen(5, 'grown') : event,
    );
    const verdict = await boot(grown);
    expect(verdict).toMatchObject({ state: 'unlocked' });
    expect(verdict.proven.join()).toContain('the policy allows it: the partition table');
  });

  test('is not learned from a firmware that is not the host’s', async () => {
    const verdict = await boot([seen(0, 'another firmware'), ...system('quiet')]);
    expect(verdict).toMatchObject({ state: 'refused' });
    expect(verdict.learned).toBeUndefined();
    expect(verdict.reasons.join()).toContain('the firmware is not OVMF');
    expect(await codeOf(accept())).toBe('not-found');
  });

  test('is not learned from a log that its TPM has not signed', async () => {
    const id = await start();
    const guest = await broker.connect(machine, id);
    await guest.boot(system('quiet'));
    const evidence = await guest.evidence(await guest.hello());
    const digestOfLast = 10;
    const eventLog = evidence.eventLog.map((byte, at) =>
      at === evidence.eventLog.length - digestOfLast ? byte ^ 1 : byte,
    );
    await guest.send({ ...evidence, eventLog });
    const verdict = await broker.verdict(machine, id);
    expect(verdict.learned).toBeUndefined();
    expect(verdict.reasons.join()).toContain('does not replay to the quoted PCRs');
    expect(await codeOf(accept())).toBe('not-found');
  });

  test('finds nothing accepted that was accepted for another of its name', async () => {
    await boot(system('quiet'));
    await accept();
    machine = await broker.addMachine();
    expect(await boot(system('quiet'))).toMatchObject({ learned: true });
  });

  test('is nothing that a host may propose by its own word', async () => {
    const content = await firmware();
    const reference = referenceJson(await signNow(content, await broker.hostKey));
    expect(await codeOf(broker.client.call({ op: 'propose-reference', reference }))).toBe('bad-request');
  });
});
