// What a broker takes from a guest that does not keep to the protocol, and for how long.
import { setTimeout as sleep } from 'node:timers/promises';
import { newBootId, newMachineId } from '@ringwall/api';
import { utf8 } from '@ringwall/bytes';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerInstance, codeOf } from './testing/instance.ts';

let broker: BrokerInstance;
/** The broker's monotonic clock, which a test may turn on. */
let monotonicMs = 0;

beforeEach(async () => {
  monotonicMs = 0;
  broker = await BrokerInstance.start({ monotonicMs: () => monotonicMs });
});
afterEach(() => broker[Symbol.asyncDispose]());

describe('a session', () => {
  test.each([
    ['says nothing', ''],
    ['begins a line and does not end it', 'hel'],
  ])('ends when its guest %s for too long', async (_name, text) => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    // Time goes on, and the broker looks at it when it next hears something.
    monotonicMs += 599_960;
    guest.lines.send(`end\n${text}`);
    expect((await guest.lines.answer()).reasons).toEqual(['the guest was too late with hello']);
    expect(await broker.verdict(machine, boot)).toMatchObject({ state: 'failed' });
    expect(await guest.lines.next()).toBeUndefined();
  });

  test('ends when its evidence does, however slowly it comes', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    await guest.hello();
    guest.lines.send('evidence\n');
    for (let sent = 0; sent < 6; sent += 1) {
      monotonicMs += 9990;
      guest.lines.send('e');
      await sleep(10);
    }
    expect((await guest.lines.answer()).reasons).toEqual(['the guest was too late with the end of the evidence']);
  });

  const rubbish: [string, Uint8Array][] = [
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x00, 0x0a)],
    ['an escape sequence', utf8('\u001b[2J\n')],
    ['a line that is too long', utf8('a'.repeat(5000))],
    ['a sentence before hello', utf8('let me in, please\n')],
    ['another version', utf8('hello 2\n')],
    ['an endless stream', new Uint8Array(300 * 1024).fill(0x61)],
  ];
  test.each(rubbish)('refuses %s, says why, and ends', async (_name, bytes) => {
    const machine = await broker.addMachine();
    const { boot } = await broker.boot(machine);
    const { stream } = await broker.client.openStream({ op: 'open-session', machine: machine.id, boot });
    let text = '';
    stream.on('error', () => undefined);
    stream.write(bytes);
    for await (const chunk of stream) text += String(chunk);
    expect(text).toMatch(/^refused\nreason [\x20-\x7e]+\nend\n$/);
    expect(await broker.verdict(machine, boot)).toMatchObject({ state: 'failed' });
  });

  test('is cut off by a newer one of the same machine, and by the next boot', async () => {
    const machine = await broker.addMachine();
    const { boot, guest } = await broker.boot(machine);
    await guest.hello();
    const newer = await broker.connect(machine, boot);
    expect(await guest.lines.next()).toBeUndefined();
    await newer.hello();
    const next = await broker.boot(machine);
    expect(await newer.lines.next()).toBeUndefined();
    await next.guest.unlock(await broker.brokerKey());
  });

  test('is opened only for the boot that is expected', async () => {
    const machine = await broker.addMachine();
    const first = await broker.boot(machine);
    await broker.boot(machine);
    expect(await codeOf(broker.connect(machine, first.boot))).toBe('conflict');
    expect(await codeOf(broker.connect(machine, newBootId()))).toBe('not-found');
    expect(await codeOf(broker.connect({ ...machine, id: newMachineId() }, first.boot))).toBe('not-found');
  });

  test('gets no key once its machine was forgotten', async () => {
    const machine = await broker.addMachine();
    const { guest } = await broker.boot(machine);
    const evidence = await guest.evidence(await guest.hello());
    await broker.client.call({ op: 'forget-machine', machine: machine.id });
    expect((await guest.send(evidence)).lines).toEqual([]);
  });
});
