// Snapshots of machines in networks, on a host of the mind: the card is part of the state that it was saved in, and leads nowhere
// where that goes on.
import { newBootId, newMachineId, newNetworkId, type NetworkId } from '@ringwall/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { networkLayout } from './layout.ts';
import { readBoot } from './records.ts';
import { goOn, holdTemplate, makeClone } from './testing/live-clones.ts';
import { BROKER_KEY, ask, buildHello, create, needsRoot, SPEC, stop } from './testing/scene.ts';
import { SnapshotScene, type Taken } from './testing/snapshot-scene.ts';

const MAC = '02:00:5e:00:00:01';

describe.skipIf(needsRoot)('a snapshot of a machine in a network (skipped: needs root)', () => {
  let scene: SnapshotScene;
  let network: NetworkId;

  beforeEach(async () => {
    network = newNetworkId();
    scene = await SnapshotScene.begin(async (_, warden) => {
      const [id, boot] = [newMachineId(), newBootId()];
      await buildHello(warden);
      await create(warden, id, { ...SPEC, network });
      const rules = [{ name: 'all', action: 'allow', from: { labels: {} }, to: { labels: {} }, services: ['tcp/80'] }];
      await ask<'apply-network'>(warden, {
        ...{ op: 'apply-network', network, definition: { name: 'app', addresses: ['10.20.0.0/24'], rules } },
        machines: [{ machine: id, name: 'web', labels: {}, addresses: ['10.20.0.1'], mac: MAC }],
      });
      const card = { network, mac: MAC };
      await ask<'start-machine'>(warden, { op: 'start-machine', machine: id, boot, brokerKey: BROKER_KEY, card });
      return { id, boot };
    });
  });
  afterEach(() => scene.end());

  const order = () => ({ machine: scene.id, boot: scene.boot, network }) as const;
  const admit = () => ask<'admit-machine'>(scene.warden, { op: 'admit-machine', ...order() });
  const stopIt = async (): Promise<void> => {
    await stop(scene.warden, scene.id);
    scene.host.cards.clear();
  };
  const startOnNetwork = async (): Promise<void> => {
    scene.boot = newBootId();
    const { network: _, ...which } = order();
    const card = { network, mac: MAC };
    await ask<'start-machine'>(scene.warden, { op: 'start-machine', ...which, brokerKey: BROKER_KEY, card });
  };
  const putBack = async (taken: Taken, below: readonly Taken[] = []): Promise<void> => {
    const { running } = await scene.restore(taken, below);
    scene.boot = running.boot;
  };

  const card = (): string | undefined => scene.host.cards.get(scene.id);
  const record = () => readBoot(scene.machine);

  test('that is admitted has its card, which leads nowhere, whoever asks for more; a start leads into the network', async () => {
    await admit();
    expect(card()).toBe(MAC);
    const taken = await scene.take();
    await stopIt();
    await putBack(taken);
    expect(card()).toBe(MAC);
    expect(scene.host.cable).toBe('none');
    const restored = await record();
    expect(restored).toMatchObject({ looseCard: { mac: MAC } });
    expect(restored?.card).toBeUndefined();
    await expect(admit()).rejects.toMatchObject({ code: 'conflict' });
    await ask<'dismiss-machine'>(scene.warden, { op: 'dismiss-machine', network, machine: scene.id });
    await scene.warden.sweep(false);
    expect(card()).toBe(MAC);
    await stopIt();
    await startOnNetwork();
    expect((await record())?.looseCard).toBeUndefined();
    await admit();
    expect(card()).toBe(MAC);
    expect(scene.host.cable).toEqual({ pin: networkLayout(scene.host.layout, network).pin });
  });

  test('that is not admitted yet has none, and gets none', async () => {
    const taken = await scene.take();
    await stopIt();
    await putBack(taken);
    expect(card()).toBeUndefined();
    expect(scene.host.cable).toBe('none');
    expect((await record())?.looseCard).toBeUndefined();
    await expect(admit()).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is put back where the network is gone; a start says that it is', async () => {
    await admit();
    const taken = await scene.take();
    await stopIt();
    await ask<'remove-network'>(scene.warden, { op: 'remove-network', network });
    await putBack(taken);
    expect(card()).toBe(MAC);
    await stopIt();
    await expect(startOnNetwork()).rejects.toMatchObject({ code: 'not-found' });
  });

  test('continues one from before the card came, and is taken again of what was put back', async () => {
    const before = await scene.take();
    await admit();
    const after = await scene.take(before.snapshot);
    await stopIt();
    await putBack(after, [before]);
    expect(card()).toBe(MAC);
    const again = await scene.take();
    await stopIt();
    await putBack(before);
    expect(card()).toBeUndefined();
    await stopIt();
    await putBack(again);
    expect(card()).toBe(MAC);
  });

  test('lets others go on from it with that card, which leads nowhere whatever they are in; their start leads there', async () => {
    await admit();
    const taken = await scene.take();
    await holdTemplate(scene, taken);
    const clone = await makeClone(scene, { ...SPEC, network });
    await goOn(scene, clone, taken.snapshot);
    expect(scene.host.cards.get(clone.id)).toBe(MAC);
    expect(scene.host.cable).toBe('none');
    const running = await readBoot(clone.paths);
    expect(running).toMatchObject({ looseCard: { mac: MAC }, goesOnFrom: taken.snapshot });
    expect(running?.card).toBeUndefined();
    const asked = { op: 'admit-machine', machine: clone.id, boot: clone.boot, network } as const;
    await expect(ask<'admit-machine'>(scene.warden, asked)).rejects.toMatchObject({ code: expect.any(String) });
    await scene.warden.sweep(false);
    expect(scene.host.cable).toBe('none');
  });
});
