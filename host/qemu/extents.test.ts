// What a VMM says of its disk, also one that lies: extents of this disk, or an error.
import { duplexPair, type Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { readExtents, type FlaggedExtent } from './extents.ts';

const SIZE = 2 ** 20;

/** Answers the whole handshake, then `extents` to each question; `alter` may change the answer. */
async function read(
  extents: readonly [length: number, flags: number][],
  alter: (answer: Buffer) => Buffer = (answer) => answer,
  sizeBytes = SIZE,
  mostMs?: number,
): Promise<FlaggedExtent[]> {
  const [ours, theirs] = duplexPair();
  serve(theirs, extents, alter, sizeBytes);
  // A stream is all that is asked of the socket, but for its end.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const socket = Object.assign(ours, { destroySoon: () => ours.end() }) as unknown as Socket;
  return readExtents(socket, 'disk', 'dirty', mostMs);
}

function serve(
  stream: Duplex,
  extents: readonly [number, number][],
  alter: (answer: Buffer) => Buffer,
  sizeBytes: number,
): void {
  stream.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT', 'latin1'), Buffer.of(0, 3)]));
  const size = Buffer.alloc(12);
  size.writeBigUInt64BE(BigInt(sizeBytes), 2);
  const options = [
    [8, []],
    [10, [[4, Buffer.from('\0\0\0\x01dirty', 'latin1')]]],
    [7, [[3, size]]],
  ] as const;
  let step = 0;
  stream.on('error', () => {});
  stream.on('data', (bytes: Buffer) => {
    const asked = options[step];
    step += 1;
    if (asked === undefined) {
      if (bytes.readUInt16BE(6) !== 7) return;
      const data = Buffer.alloc(4 + extents.length * 8);
      for (const [index, [length, flags]] of extents.entries()) {
        data.writeUInt32BE(length, 4 + index * 8);
        data.writeUInt32BE(flags, 8 + index * 8);
      }
      const header = Buffer.alloc(20);
      header.writeUInt32BE(0x668e33ef);
      header.writeUInt16BE(1, 4);
      header.writeUInt16BE(5, 6);
      bytes.copy(header, 8, 8, 16);
      header.writeUInt32BE(data.length, 16);
      stream.write(alter(Buffer.concat([header, data])));
      return;
    }
    const [option, answers] = asked;
    for (const [type, data] of answers) stream.write(optionReply(option, type, data));
    stream.write(optionReply(option, 1, Buffer.alloc(0)));
  });
}

function optionReply(option: number, type: number, data: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header.writeBigUInt64BE(0x3e889045565a9n);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(data.length, 16);
  return Buffer.concat([header, data]);
}

function patched(at: number, value: number): (answer: Buffer) => Buffer {
  return (answer) => {
    const altered = Buffer.from(answer);
    altered.writeUInt8(value, at);
    return altered;
  };
}

describe('readExtents()', () => {
  test('covers the disk, in order, and cuts what goes beyond it', async () => {
    expect(
      await read([
        [65_536, 1],
        [SIZE, 0],
      ]),
    ).toEqual([
      { offset: 0, length: 65_536, flags: 1 },
      { offset: 65_536, length: SIZE - 65_536, flags: 0 },
    ]);
  });

  test('asks on where an answer does not reach the end', async () => {
    const quarter = SIZE / 4;
    expect((await read([[quarter, 1]])).map(({ offset }) => offset)).toEqual([0, quarter, 2 * quarter, 3 * quarter]);
  });

  test.each<[string, readonly [number, number][], ((answer: Buffer) => Buffer)?]>([
    ['an extent of nothing', [[0, 1]]],
    [
      'extents behind the end',
      [
        [SIZE, 0],
        [4096, 1],
      ],
    ],
    ['another answer', [[SIZE, 0]], patched(0, 1)],
    ['an answer to somebody else', [[SIZE, 0]], patched(15, 9)],
    ['a part of an answer', [[SIZE, 0]], patched(5, 0)],
    ['an error', [[SIZE, 0]], patched(6, 0x80)],
    ['more than anybody says', [[SIZE, 0]], patched(16, 0x7f)],
    ['half an extent', [[SIZE, 0]], patched(19, 9)],
  ])('refuses %s', async (_, extents, alter) => {
    await expect(read(extents, alter)).rejects.toMatchObject({ code: 'vmm-failed' });
  });

  test('ends where the VMM goes on answering for ever', async () => {
    const slow = read([[4096, 1]], undefined, 2 ** 62, 50);
    await expect(slow).rejects.toMatchObject({ code: 'vmm-failed' });
  });
});
