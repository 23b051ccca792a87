import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type MeterChange, metersIn, setMeters } from './meters.ts';

/** OpenFlow 1.5: version, type, length and number of a message, and what is behind them. */
const message = (type: number, number: number, body = ''): Buffer => {
  const bytes = Buffer.alloc(8 + body.length / 2, body, 'hex');
  bytes.set([6, type]);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt32BE(number, 4);
  bytes.write(body, 8, 'hex');
  return bytes;
};
const [HELLO, ERROR, BARRIER_REPLY] = [0, 1, 21];
const CHANGES: readonly MeterChange[] = [
  { command: 'add', meter: { id: 5, unit: 'kbps', rate: 1_000_000, burst: 2_000 } },
  { command: 'modify', meter: { id: 6, unit: 'pktps', rate: 50, burst: 100 } },
];

describe('setMeters()', () => {
  const dir = mkdtempSync(join(tmpdir(), 'meters-'));
  let server: Server | undefined;
  afterEach(() => {
    server?.close();
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  /** A switch that reads what it is told of two meters, and then does something. */
  async function switchThat(does: (link: Socket) => void): Promise<{ readonly socket: string; told: () => string }> {
    const socket = join(dir, 'switch.mgmt');
    rmSync(socket, { force: true });
    const told: Buffer[] = [];
    server = createServer((link) => {
      link.on('error', () => undefined);
      link.on('data', (bytes: Buffer) => {
        told.push(bytes);
        if (Buffer.concat(told).length === 8 + 32 + 32 + 8) does(link);
      });
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(socket, resolve);
    await promise;
    return { socket, told: () => Buffer.concat(told).toString('hex') };
  }

  test('says hello, each of them, and waits for the barrier behind them, however it comes', async () => {
    const { socket, told } = await switchThat((link) => {
      const answer = Buffer.concat([message(HELLO, 0), message(BARRIER_REPLY, 1), message(BARRIER_REPLY, 2)]);
      link.write(answer.subarray(0, 13));
      setImmediate(() => link.write(answer.subarray(13)));
    });
    await setMeters(socket, CHANGES);
    const [add, modify] = [
      '061d0020 00000000 0000 0005 00000005 0001 0010 000f4240 000007d0 00000000',
      '061d0020 00000001 0001 0006 00000006 0001 0010 00000032 00000064 00000000',
    ].map((words) => words.replaceAll(' ', ''));
    expect(told()).toBe(`0600000800000002${add}${modify}0614000800000002`);
  });

  test.each([
    ['no more meters', message(ERROR, 1, '000c000a'), 'the switch refuses meter 6: it has no more meters'],
    ['another reason', message(ERROR, 0, '000c0006'), 'the switch refuses meter 5: OpenFlow error 12, code 6'],
    ['an error of none of them', message(ERROR, 9, '00010000'), 'refuses what it was told of meters: OpenFlow error 1'],
    ['an error that says nothing', message(ERROR, 0), 'meter 5: OpenFlow error undefined, code undefined'],
    ['what is not OpenFlow', Buffer.from('HTTP/1.1 400'), 'what is not OpenFlow 1.5'],
    ['a message without a length', Buffer.from('0615000000000002', 'hex'), 'what is not OpenFlow 1.5'],
  ])('fails where the switch answers %s', async (_, answer, words) => {
    const { socket } = await switchThat((link) => link.write(answer));
    await expect(setMeters(socket, CHANGES)).rejects.toMatchObject({
      code: 'network-failed',
      message: expect.stringContaining(words),
    });
  });

  test('fails where the switch goes away, or is not there', async () => {
    const { socket } = await switchThat((link) => link.destroy());
    await expect(setMeters(socket, CHANGES)).rejects.toThrow('has closed the connection');
    await expect(setMeters(join(dir, 'none'), CHANGES)).rejects.toThrow('ENOENT');
  });

  test('asks nobody where nothing changes', async () => {
    await expect(setMeters(join(dir, 'none'), [])).resolves.toBeUndefined();
  });
});

describe('metersIn()', () => {
  test('has each by its number, and of one of another kind that it is there', () => {
    const listing = [
      'OFPST_METER_CONFIG reply (OF1.5) (xid=0x2):',
      'meter=5 kbps burst bands=',
      'type=drop rate=1000000 burst_size=2000',
      '',
      'meter=6 pktps burst bands=',
      'type=drop rate=50 burst_size=100',
      'OFPST_METER_CONFIG reply (OF1.5) (xid=0x2): flags=[more]',
      'meter=7 pktps burst stats bands=',
      'type=drop rate=50 burst_size=100',
      '',
      'meter=8 kbps bands=',
      'type=drop rate=50',
      '',
      'meter=9 kbps burst bands=',
      'type=drop rate=50 burst_size=5',
      'type=dscp_remark rate=40 burst_size=5 prec_level=1',
      '',
    ].join('\n');
    expect([...metersIn(listing)]).toEqual([
      [5, CHANGES[0]?.meter],
      [6, CHANGES[1]?.meter],
      [7, undefined],
      [8, undefined],
      [9, undefined],
    ]);
    expect([...metersIn('')]).toEqual([]);
  });
});
