import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOST_ID, makeHostScene, type HostScene } from '../../lib/evidence/testing/host-scene.ts';
import { NOW } from '../../lib/evidence/testing/vtpm-ca.ts';
import { BrokerStore } from './store.ts';

const CLOCK = { resetCount: 7, restartCount: 2, clock: 50_000n };

let directory: string;
let scene: HostScene;
let store: BrokerStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'broker-hosts-'));
  scene = await makeHostScene();
  store = BrokerStore.open(join(directory, 'broker.db'));
  store.hosts.accept(scene.reference, NOW);
});
afterEach(() => {
  store[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

describe('HostStore', () => {
  test('gives back what was accepted of a host, and nothing of another', () => {
    expect(store.hosts.reference(HOST_ID)).toEqual(scene.reference);
    expect(store.hosts.reference('host_zzzzzzzzzzzzzzzzzzzz')).toBeUndefined();
    expect(store.hosts.clock(HOST_ID)).toBeUndefined();
  });

  test.each([
    ['a clock that went back', { ...CLOCK, clock: 49_999n }],
    ['a restart that went back', { ...CLOCK, restartCount: 1, clock: 60_000n }],
    ['a reset that went back', { resetCount: 6, restartCount: 9, clock: 60_000n }],
  ])('keeps the furthest counters, whatever %s', (_what, behind) => {
    store.hosts.setClock(HOST_ID, CLOCK);
    store.hosts.setClock(HOST_ID, behind);
    expect(store.hosts.clock(HOST_ID)).toEqual(CLOCK);
    const ahead = { resetCount: 8, restartCount: 0, clock: 10n };
    store.hosts.setClock(HOST_ID, ahead);
    expect(store.hosts.clock(HOST_ID)).toEqual(ahead);
  });

  test('accepting the same TPM anew keeps its counters; another one counts from its own beginning', async () => {
    store.hosts.setClock(HOST_ID, CLOCK);
    store.hosts.accept(await scene.sign({ by: 'somebody else' }), NOW);
    expect(store.hosts.clock(HOST_ID)).toEqual(CLOCK);
    store.hosts.accept(await scene.sign({ tpm: { akName: `000b${'ee'.repeat(32)}` } }), NOW);
    expect(store.hosts.clock(HOST_ID)).toBeUndefined();
  });
});
