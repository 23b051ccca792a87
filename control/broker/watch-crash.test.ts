// What a broker's store knows of watches at the moment in which its process dies: the state directory is copied while the
// broker runs, as kill -9 would leave it.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WatchMode, WatchState } from '@ringwall/api/watch';
import { parseWatchRecord } from '@ringwall/evidence';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { imaNg } from '../../lib/tpm/testing/ima-list.ts';
import { BrokerStore } from './store.ts';
import { FILES, imageParts } from './testing/image.ts';
import { BrokerInstance, type TestMachine } from './testing/instance.ts';
import { WatchedGuest } from './testing/watched-guest.ts';
import type { WatchRow } from './watch-store.ts';

let broker: BrokerInstance;

beforeEach(async () => {
  broker = await BrokerInstance.start();
});
afterEach(() => broker[Symbol.asyncDispose]());

/** A machine that has answered once, and that the broker says so of. */
async function answered(mode: WatchMode, runs: readonly string[], told: WatchState): Promise<TestMachine> {
  const machine = await broker.addMachine();
  const { boot, guest } = await broker.boot(machine);
  const image = imageParts();
  await broker.client.call({ op: 'expect-watch', machine: machine.id, boot, mode, intervalMs: 60_000, image });
  const part = Buffer.from(FILES.text).toString('base64');
  await broker.client.call({ op: 'add-image-files', sha256: FILES.sha256, offset: 0, part, last: true });
  await guest.unlock(await broker.brokerKey());
  const watched = new WatchedGuest(guest, machine.tpm);
  watched.ran.push(...runs.map((path) => imaNg(path)));
  watched.sayThere();
  await watched.answerQuestions(1);
  const state = async (): Promise<WatchState | undefined> => {
    const { watches } = await broker.client.call({ op: 'read-watches', boots: [{ machine: machine.id, boot }] });
    return watches[0]?.report.state;
  };
  await expect.poll(state, { interval: 10 }).toBe(told);
  return machine;
}

function afterCrash({ id }: TestMachine): WatchRow | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'broker-copy-'));
  try {
    cpSync(broker.stateDirectory, copy, { recursive: true });
    using store = BrokerStore.open(join(copy, 'broker.db'));
    return store.watches.find(id);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

const provenEntries = (row: WatchRow | undefined): number => parseWatchRecord(row?.record ?? '').proven.ima.entries;

describe('a broker that is killed', () => {
  test('has written down what ran and is not of the image before it tells', async () => {
    const machine = await answered('report', ['/tmp/evil'], 'unexpected');
    expect(afterCrash(machine)).toMatchObject({ state: 'unexpected' });
  });

  test('has written down a quarantine before it tells', async () => {
    const machine = await answered('enforce', ['/tmp/evil'], 'quarantined');
    expect(afterCrash(machine)).toMatchObject({ state: 'quarantined' });
  });

  test('has written down that a machine was seen for the first time, and how far its list was proven', async () => {
    const row = afterCrash(await answered('enforce', [], 'expected'));
    expect(row?.state).toBe('expected');
    expect(provenEntries(row)).toBe(2);
  });
});
