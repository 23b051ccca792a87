// Times of rules that run out, for real: a connection of TCP that stands by such a rule stops passing, also where nobody was there to see the
// moment, and others go on.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newMachineId, newNetworkId } from '@ringwall/api';
import { layoutOf, networkLayout } from '@ringwall/control/warden';
import { UidLeases } from '@ringwall/host/jail';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judge, type WantedNetwork } from '../../control/warden/network-plan.ts';
import { TenantNetwork } from '../../control/warden/tenant-network.ts';
import { NEEDS_PACKETS, Testbed } from '../../host/network/testing/testbed.ts';
import { makeNetworkPart } from './networks.ts';

/** Time enough to see that the connection passes; where a busy host takes longer, it is tried with more. */
const LASTS_SECONDS = 4;
const LONGEST_SECONDS = 128;
const OVER = { timeout: 2 * LONGEST_SECONDS * 1_000 };
const NEVER = 'never';
const IDS = [1, 2, 3, 4].map(() => newMachineId());
const ADMITTED = new Set(IDS);

/** Until `limit`, in Unix seconds, the first may speak to the second; the third to the fourth for good. */
function wantedUntil(limit: number): WantedNetwork {
  const pair = (role: string): object => ({
    ...{ name: role, action: 'allow', services: ['tcp/80'] },
    ...{ from: { labels: { role } }, to: { labels: { role } } },
  });
  const before = new Date(limit * 1_000).toISOString().replace('.000Z', 'Z');
  return {
    definition: {
      name: 'app',
      addresses: ['10.20.0.0/24'],
      dns: false,
      rules: [{ ...pair('brief'), before }, pair('long')],
    },
    machines: IDS.map((machine, index) => ({
      ...{ machine, name: `m${index}`, labels: { role: index < 2 ? 'brief' : 'long' } },
      ...{ addresses: [`10.20.0.${index + 1}`], mac: `52:54:00:00:00:0${index + 1}` },
    })),
  };
}

function soon(seconds = LASTS_SECONDS): number {
  return Math.ceil(Date.now() / 1_000) + seconds;
}

describe.skipIf(NEEDS_PACKETS !== '')(`times of rules${NEEDS_PACKETS}`, () => {
  let dir: string;
  let bed: Testbed;
  let tenant: TenantNetwork;
  const log: string[] = [];
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'ringwall-times-'));
    bed = await Testbed.open([...judge(wantedUntil(soon()), undefined, []).machines.values()]);
    for (const station of bed.stations) await station.tell('listen', [80], []);
    tenant = another();
  });
  afterAll(async () => {
    tenant.forget();
    await bed[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  });

  /** Another life of the warden: what stands is what the one before has left. */
  function another(): TenantNetwork {
    const layout = layoutOf(join(dir, 's'), join(dir, 'r'));
    const place = { ...networkLayout(layout, newNetworkId()), pin: bed.file };
    const due = (): void => void next.endTimedOut();
    const next = new TenantNetwork(place, makeNetworkPart(new UidLeases(), layout), {
      note: (text) => log.push(text),
      due,
    });
    return next;
  }

  function stationAt(index: number): Testbed['stations'][number] {
    const station = bed.stations[index];
    if (station === undefined) throw new Error('no station');
    return station;
  }

  async function connect(from: number): Promise<void> {
    expect(await stationAt(from).tell('stream_open', `10.20.0.${from + 2}`, 80)).toBe(true);
    await expect.poll(() => stationAt(from + 1).tell('stream_accept', 80)).toBe(true);
  }

  /** What arrives of a word on the connection that stands: waited for, but where nothing shall. */
  async function said(from: number, word: string): Promise<unknown> {
    await stationAt(from).tell('stream_send', word);
    return await stationAt(from + 1).tell('stream_receive', ...(word === NEVER ? [1] : []));
  }

  /** A connection that stands by the brief rule, and was seen to pass long before that ends: when it does. */
  async function standsBriefly(): Promise<number> {
    for (let seconds = LASTS_SECONDS; seconds <= LONGEST_SECONDS; seconds *= 2) {
      await tenant.settle(wantedUntil(soon() + 3_600), ADMITTED);
      await connect(0);
      const limit = soon(seconds);
      await tenant.settle(wantedUntil(limit), ADMITTED);
      await stationAt(0).tell('stream_send', 'before');
      const passes = (await stationAt(1).tell('stream_receive', seconds)) === 'before';
      if (passes && Date.now() < (limit - seconds / 2) * 1_000) return limit;
    }
    throw new Error('it never passed');
  }

  test('end the connections that stand by them when they run out, and no others', async () => {
    await tenant.settle(wantedUntil(soon() + 3_600), ADMITTED);
    await connect(2);
    await standsBriefly();
    await expect
      .poll(() => log.join('\n'), OVER)
      .toContain('connections that its rules do not allow any more are ended: 1');
    await expect.poll(() => said(0, NEVER)).toBe('');
    expect(await said(2, 'still here')).toBe('still here');
  });

  test('end them as soon as somebody is there again, where nobody was when they ran out', async () => {
    const limit = await standsBriefly();
    tenant.forget();
    await sleep(Math.max(0, limit * 1_000 - Date.now()));
    // Until then the kernel lets it pass, for it has begun.
    expect(await said(0, 'after')).toBe('after');
    tenant = another();
    await tenant.settle(wantedUntil(limit), ADMITTED);
    await expect.poll(() => said(0, NEVER)).toBe('');
    expect(await said(2, 'still here')).toBe('still here');
  });
});
