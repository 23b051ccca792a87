// The VMM's sockets are used only if they are the VMM's own, and by one holder at a time.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, Socket, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectToVmm, joinStreams, StreamHolders } from './vmm-socket.ts';

const OWN_UID = process.getuid?.() ?? 0;

let dir: string;
let servers: Server[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warden-socket-'));
  servers = [];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  rmSync(dir, { recursive: true });
});

describe('connectToVmm()', () => {
  const listen = (name: string): Promise<string> =>
    new Promise((resolve) => {
      const server = createServer((socket) => socket.end(name));
      servers.push(server);
      server.listen(join(dir, name), () => resolve(join(dir, name)));
    });

  it('connects to the socket of its owner', async () => {
    const socket = await connectToVmm(await listen('a.sock'), OWN_UID);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('a.sock');
  });

  it('refuses a link to the socket of another machine', async () => {
    symlinkSync(await listen('other.sock'), join(dir, 'a.sock'));
    await expect(connectToVmm(join(dir, 'a.sock'), OWN_UID)).rejects.toThrow('not the socket');
  });

  it('refuses a socket of another uid', async () => {
    await expect(connectToVmm(await listen('a.sock'), OWN_UID + 1)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('refuses a plain file', async () => {
    writeFileSync(join(dir, 'a.sock'), '');
    await expect(connectToVmm(join(dir, 'a.sock'), OWN_UID)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('says that the VMM is gone where nobody listens', async () => {
    await expect(connectToVmm(join(dir, 'a.sock'), OWN_UID)).rejects.toMatchObject({ code: 'vmm-failed' });
  });
});

describe('joinStreams()', () => {
  it('ends both when one ends', async () => {
    const [left, right] = [new PassThrough(), new PassThrough()];
    const joined = joinStreams(left, right);
    left.destroy();
    await joined;
    expect(right.destroyed).toBe(true);
  });
});

describe('StreamHolders', () => {
  it('gives each stream to one holder at a time', () => {
    const holders = new StreamHolders();
    {
      using _held = holders.claim('mch_a', 'console');
      expect(() => holders.claim('mch_a', 'console')).toThrow('open elsewhere');
      using _other = holders.claim('mch_a', 'attest');
    }
    holders.claim('mch_a', 'console')[Symbol.dispose]();
  });

  it('lets nothing reach a machine that is held, also by who comes meanwhile, and all of it afterwards', () => {
    const holders = new StreamHolders();
    const [one, two, other] = [new Socket(), new Socket(), new Socket()];
    holders.claim('mch_a', 'console').carries(one);
    holders.claim('mch_b', 'console').carries(other);
    {
      using _still = holders.hold('mch_a');
      holders.claim('mch_a', 'attest').carries(two);
      expect([one, two, other].map(({ writableCorked }) => writableCorked)).toEqual([1, 1, 0]);
    }
    expect([one, two, other].map(({ writableCorked }) => writableCorked)).toEqual([0, 0, 0]);
  });
});
