import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { RingwallError } from '@ringwall/api';
import { describe, expect, test, vi } from 'vitest';
import { Relay, RELAY_LIMIT_BYTES, type RelayWatcher } from './relay.ts';

const REJOIN = { first: 2, most: 10, quiet: 50 };
/** On a busy host. */
const PATIENT = { timeout: 60_000 };

/** Both far ends of one session. */
interface Session {
  readonly broker: Duplex;
  readonly guest: Duplex;
}

class Ends {
  readonly brokers: Duplex[] = [];
  readonly ports: Duplex[] = [];
  fail: RingwallError | undefined;
  /** What a guest does as soon as its port is open. */
  onPort: (guest: Duplex) => void = () => {};

  openPort(): Promise<Duplex> {
    const [ours, theirs] = farEnd();
    this.ports.push(theirs);
    this.onPort(theirs);
    return Promise.resolve(ours);
  }

  openBroker(): Promise<Duplex> {
    if (this.fail !== undefined) return Promise.reject(this.fail);
    const [ours, theirs] = farEnd();
    this.brokers.push(theirs);
    return Promise.resolve(ours);
  }

  /** Whichever end was opened first. */
  get sessions(): Session[] {
    return this.brokers.flatMap((broker, index) => {
      const guest = this.ports[index];
      return guest === undefined ? [] : [{ broker, guest }];
    });
  }

  async session(number: number): Promise<Session> {
    return vi.waitFor(() => {
      const session = this.sessions[number];
      if (session === undefined) throw new Error(`no session ${String(number)}`);
      return session;
    }, PATIENT);
  }
}

/** Ours, and theirs that ends when we do. */
function farEnd(): [Duplex, Duplex] {
  const [ours, theirs] = duplexPair();
  theirs.on('error', () => {});
  theirs.on('end', () => theirs.end());
  return [ours, theirs];
}

const quiet: RelayWatcher = { onSpoken: () => {}, onSessionOver: () => Promise.resolve(), onTrouble: () => {} };

async function read(stream: Duplex): Promise<string> {
  const [chunk]: unknown[] = await once(stream, 'data');
  return String(chunk);
}

describe('Relay', () => {
  test('passes bytes both ways, and tells once that the guest has spoken, and that it is over', async () => {
    const ends = new Ends();
    const onSpoken = vi.fn<() => void>();
    const onSessionOver = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const relay = new Relay(ends, { ...quiet, onSpoken, onSessionOver }, REJOIN);
    const { broker, guest } = await ends.session(0);
    guest.write('hello 1\n');
    expect(await read(broker)).toBe('hello 1\n');
    broker.write('challenge …\n');
    expect(await read(guest)).toBe('challenge …\n');
    guest.write('evidence\n');
    expect(await read(broker)).toBe('evidence\n');
    expect(onSpoken).toHaveBeenCalledTimes(1);
    expect(onSessionOver).not.toHaveBeenCalled();
    await relay.break();
    expect(onSessionOver).toHaveBeenCalledTimes(1);
  });

  test('begins no other session before somebody has looked at what came of the last', async () => {
    const ends = new Ends();
    const looked = Promise.withResolvers<void>();
    const relay = new Relay(ends, { ...quiet, onSessionOver: () => looked.promise }, REJOIN);
    const { broker, guest } = await ends.session(0);
    guest.write('unlocked\n');
    await read(broker);
    broker.resume();
    guest.resume();
    broker.end();
    await new Promise((resolve) => setTimeout(resolve, 4 * REJOIN.quiet));
    expect(ends.sessions).toHaveLength(1);
    looked.resolve();
    await ends.session(1);
    await relay.break();
  });

  test.each(['broker', 'guest'] as const)('joins both anew where the %s ends', async (side) => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const first = await ends.session(0);
    first.broker.resume();
    first.guest.resume();
    first[side].end();
    const { broker, guest } = await ends.session(1);
    guest.write('hello 1\n');
    expect(await read(broker)).toBe('hello 1\n');
    await relay.break();
  });

  test('what a guest was still saying into a broken session is not passed to the next', async () => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const first = await ends.session(0);
    first.guest.resume();
    first.guest.write('evidence\nek-certificate 30');
    await read(first.broker);
    ends.onPort = (guest) => guest.write('82\nend\n');
    first.broker.resume();
    first.broker.end();
    const { broker, guest } = await ends.session(1);
    guest.write('hello 1\n');
    expect(await read(broker)).toBe('hello 1\n');
    await relay.break();
  });

  test('a guest that takes nothing does not keep a broker that was restarted waiting', async () => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const { broker } = await ends.session(0);
    broker.end('challenge …\n');
    await expect.poll(() => ends.sessions).toHaveLength(2);
    await relay.break();
  });

  test('the last words of the broker reach the guest before its port is closed', async () => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const { broker, guest } = await ends.session(0);
    let heard = '';
    guest.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    broker.end('refused\nreason kernel\nend\n');
    await ends.session(1);
    expect(heard).toBe('refused\nreason kernel\nend\n');
    await relay.break();
  });

  test('a guest that sends without end is cut off, in bounded memory', async () => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const { broker, guest } = await ends.session(0);
    let bytes = 0;
    guest.resume();
    broker.on('data', (chunk: Buffer) => (bytes += chunk.length));
    guest.write(Buffer.alloc(RELAY_LIMIT_BYTES - 10));
    guest.write(Buffer.alloc(64 * 1024));
    await ends.session(1);
    expect(bytes).toBeLessThanOrEqual(RELAY_LIMIT_BYTES);
    await relay.break();
  });

  test('an end that cannot be opened is told, tried again with growing pauses, and told to be well again', async () => {
    const ends = new Ends();
    ends.fail = new RingwallError('broker-unavailable', 'the broker does not run');
    const onTrouble = vi.fn<(error: unknown) => void>();
    const relay = new Relay(ends, { ...quiet, onTrouble }, REJOIN);
    await expect.poll(() => onTrouble.mock.calls.length).toBeGreaterThan(2);
    expect(onTrouble).toHaveBeenLastCalledWith(ends.fail);
    ends.fail = undefined;
    await ends.session(0);
    await expect.poll(() => onTrouble).toHaveBeenLastCalledWith(undefined);
    await relay.break();
  });

  test('finish() lets the open session end, and joins no other', async () => {
    const ends = new Ends();
    const relay = new Relay(ends, quiet, REJOIN);
    const { broker, guest } = await ends.session(0);
    relay.finish();
    broker.write('done\n');
    expect(await read(guest)).toBe('done\n');
    broker.end();
    await relay.break();
    expect(ends.sessions).toHaveLength(1);
  });

  describe('keepJoined()', () => {
    test('goes on with the open session, waits for nobody between two, and drops nothing', async () => {
      const ends = new Ends();
      const relay = new Relay(ends, { ...quiet, onSessionOver: () => new Promise(() => {}) }, REJOIN);
      const first = await ends.session(0);
      first.guest.write('unlocked\n');
      await read(first.broker);
      relay.keepJoined();
      first.guest.write('watch 1\n');
      expect(await read(first.broker)).toBe('watch 1\n');
      first.guest.resume();
      first.broker.resume();
      first.broker.end();
      const { guest, broker } = await ends.session(1);
      guest.write('watch 1\n');
      expect(await read(broker)).toBe('watch 1\n');
      await relay.break();
    });

    test('does not open the port of a guest while there is no broker', async () => {
      const ends = new Ends();
      ends.fail = new RingwallError('broker-unavailable', 'the broker does not run');
      const onTrouble = vi.fn<(error: unknown) => void>();
      const relay = new Relay(ends, { ...quiet, onTrouble }, REJOIN);
      relay.keepJoined();
      await expect.poll(() => onTrouble.mock.calls.length).toBeGreaterThan(2);
      expect(ends.ports.length).toBeLessThanOrEqual(1);
      await relay.break();
    });
  });
});
