// A mirror with real packets: what is on a machine's cable both ways is heard at the port, by tcpdump as by any IDS, and the machine's own
// traffic goes its way whatever becomes of the port.
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileNetwork, parseMachines, parsePolicy } from '@ringwall/netpolicy';
import { run, runChecked } from '../../exec/index.ts';
import { inNamespace, Walls } from '../index.ts';
import { isNamespace, type NamespaceRun } from '../namespace.ts';
import { ethernet, ipv4Packet, markerOf, udp } from '../testing/frames.ts';
import { NEEDS_PACKETS, Testbed } from '../testing/testbed.ts';
import { IDS_INTERFACE, setMirror } from './index.ts';

const TCPDUMP = '/usr/bin/tcpdump';
const NEEDS = NEEDS_PACKETS !== '' || existsSync(TCPDUMP) ? NEEDS_PACKETS : ' (skipped: needs tcpdump)';
const MACHINES = [1, 2, 3].map((index) => ({
  name: `m${index}`,
  labels: {},
  addresses: [`10.20.0.${index}`],
  mac: `52:54:00:00:00:0${index}`,
  interface: `t${index}`,
}));
const rules = [{ name: 'ping', action: 'allow', from: 'any', to: 'any', services: ['ping'] }];
const json = { version: 1, tenant: 'acme', networks: [{ name: 'app', addresses: ['10.20.0.0/24'], rules }] };
const [network] = parsePolicy(json).networks;
if (network === undefined) throw new Error('no network');
const machines = parseMachines(MACHINES, network);
const [first] = machines;
if (first === undefined) throw new Error('no machine');

/** Nothing else has it. */
const LAST = markerOf('the last of all');

let bed: Testbed | undefined;
let outside: NamespaceRun;
let file: string;
beforeAll(async () => {
  if (NEEDS !== '') return;
  bed = await Testbed.open(machines);
  await new Walls(bed.inside).raise(compileNetwork(network, machines));
  for (const station of bed.stations) await station.tell('listen', [], []);
  file = `${bed.file}.mirror`;
  outside = inNamespace(run, file);
});
afterAll(async () => {
  if (bed !== undefined) await setMirror(run, { inside: bed.inside, file }, []);
  await bed?.[Symbol.asyncDispose]();
});

function theBed(): Testbed {
  if (bed === undefined) throw new Error('no testbed');
  return bed;
}

const mirror = (of: typeof machines) => setMirror(run, { inside: theBed().inside, file }, of);
const names = (of: typeof machines): string[] => of.map(({ name }) => name);

/** Who of the stations reaches whom by ping. */
async function ping(from: number, to: number): Promise<boolean> {
  const answered = await theBed().stations[from - 1]?.tell('probe', 1, [['icmp', `10.20.0.${to}`, 8]], 0, [0]);
  return JSON.stringify(answered) === '[0]';
}

/** A frame at the port, as the IDS or whoever has broken into it would send it. */
async function say(frame: string): Promise<void> {
  const send = `import socket; s=socket.socket(17,3); s.bind(("${IDS_INTERFACE}",0)); s.send(bytes.fromhex("${frame}"))`;
  await runChecked(outside, ['/usr/bin/python3', '-I', '-c', send]);
}

/** What an IDS sees while something happens: a line a packet. */
async function heard(during: () => Promise<unknown>): Promise<string> {
  // pcap's own header comes as soon as it listens.
  const listening = Promise.withResolvers<void>();
  const stop = new AbortController();
  const seen: Uint8Array[] = [];
  const ended = outside([TCPDUMP, '-n', '-U', '--immediate-mode', '-i', IDS_INTERFACE, '-w', '-'], {
    onOutput: (bytes) => {
      seen.push(bytes);
      listening.resolve();
    },
    signal: stop.signal,
    timeoutMs: 300_000,
  }).catch(() => undefined);
  await listening.promise;
  await during();
  // What is said at the port itself comes behind all that was shown until then. It is no IP: nobody else looks at it.
  await say(ethernet('ff:ff:ff:ff:ff:ff', first?.mac ?? '', 0x88b5, LAST));
  await expect.poll(() => Buffer.concat(seen).toString('hex')).toContain(LAST);
  stop.abort();
  await ended;
  const { stdout } = await runChecked(run, [TCPDUMP, '-n', '-r', '-', 'ip'], { input: Buffer.concat(seen) });
  return stdout.toString();
}

describe.skipIf(NEEDS !== '')(`a mirror${NEEDS}`, () => {
  test('shows both ways of the machines that are mirrored, and nothing of others', async () => {
    expect(names(await mirror([first]))).toEqual(['m1']);
    const seen = await heard(async () => {
      expect(await ping(1, 2)).toBe(true);
      expect(await ping(3, 2)).toBe(true);
    });
    expect(seen).toContain('10.20.0.1 > 10.20.0.2: ICMP echo request');
    expect(seen).toContain('10.20.0.2 > 10.20.0.1: ICMP echo reply');
    expect(seen).not.toContain('10.20.0.3');
    expect(await mirror([first])).toEqual([]);
  });

  test('shows what the walls refuse as well, and lets nothing in that is said at the port', async () => {
    const { inside, stations } = theBed();
    const lie = ethernet(
      'ff:ff:ff:ff:ff:ff',
      first.mac,
      0x0800,
      ipv4Packet('10.20.0.9', '10.20.0.2', 17, udp(5, 9, '')),
    );
    const seen = await heard(() => stations[0]?.tell('frames', [lie]) ?? Promise.resolve());
    expect(seen).toContain('10.20.0.9.5 > 10.20.0.2.9: UDP');

    await stations[1]?.tell('sniff');
    const forged = ethernet(
      'ff:ff:ff:ff:ff:ff',
      first.mac,
      0x0800,
      ipv4Packet('10.20.0.1', '10.20.0.2', 1, '08000000f7ff0000'),
    );
    await say(forged);
    const spoofers = async (): Promise<string> =>
      (
        await runChecked(inside, ['/usr/sbin/nft', 'list', 'set', 'inet', 'ringwall', 'spoofed-from'])
      ).stdout.toString();
    await expect.poll(spoofers).toContain('"mirror"');
    expect(await stations[1]?.tell('heard', ['0a1400010a140002'])).toEqual([]);
  });

  test('keeps nobody waiting: machines reach each other with the port down, and gone', async () => {
    await runChecked(outside, ['/usr/sbin/ip', 'link', 'set', 'dev', IDS_INTERFACE, 'down']);
    expect(await ping(1, 2)).toBe(true);
    await runChecked(outside, ['/usr/sbin/ip', 'link', 'delete', 'dev', IDS_INTERFACE]);
    expect(await ping(1, 2)).toBe(true);
  });

  test('is put back where somebody has taken the port, or a filter', async () => {
    const { inside } = theBed();
    expect(names(await mirror([first]))).toEqual(['m1']);
    await runChecked(inside, ['/usr/sbin/tc', 'filter', 'delete', 'dev', 't1', 'egress']);
    expect(names(await mirror([first]))).toEqual(['m1']);
    const seen = await heard(() => ping(2, 1));
    expect(seen).toContain('echo request');
    expect(seen).toContain('echo reply');
  });

  test('follows who is mirrored, and ends whole', async () => {
    const { inside } = theBed();
    const [, second] = machines;
    expect(names(await mirror(second === undefined ? [] : [second]))).toEqual(['m2']);
    expect(await heard(() => ping(3, 1))).toBe('');
    await mirror([]);
    const { stdout } = await runChecked(inside, [
      '/bin/sh',
      '-c',
      'ip -br link; tc qdisc show; ip -br link show type veth',
    ]);
    expect(stdout.toString()).not.toMatch(/clsact|mirror/);
    expect([await isNamespace(file), existsSync(file)]).toEqual([false, false]);
    expect(await mirror([])).toEqual([]);
  });
});
