import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tpmOver, TPM_CC, TpmError } from '@ringwall/tpm';
import { describe, expect, test } from 'vitest';
import { DeviceTransport, openTpmDevice, type TpmDeviceFile } from './index.ts';
import { fakeTpm } from './fake.ts';

const COMMAND = Uint8Array.of(0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0);
const RESPONSE = Uint8Array.of(0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0);

describe('DeviceTransport', () => {
  test('puts a response together that comes in pieces', async () => {
    const device = fakeDevice([RESPONSE.subarray(0, 3), RESPONSE.subarray(3, 4), RESPONSE.subarray(4)]);
    await using transport = new DeviceTransport(device);
    expect(await transport.send(COMMAND)).toEqual(RESPONSE);
    expect(device.written).toEqual([COMMAND]);
  });

  test('takes one command at a time', async () => {
    await using transport = new DeviceTransport(fakeDevice([RESPONSE]));
    const first = transport.send(COMMAND);
    await expect(transport.send(COMMAND)).rejects.toThrow('one command at a time');
    expect(await first).toEqual(RESPONSE);
  });

  test.each<[string, Uint8Array[], string]>([
    ['no answer', [], 'failed'],
    ['half an answer', [RESPONSE.subarray(0, 9)], 'failed'],
    ['a size below the header', [Uint8Array.of(0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0)], 'a response of 9 bytes'],
    ['a size beyond any TPM', [Uint8Array.of(0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)], 'none of a TPM'],
    ['more than its size', [Uint8Array.of(...RESPONSE, 0)], 'none of a TPM'],
  ])('ends at %s, and closes the device', async (_, pieces, message) => {
    const device = fakeDevice(pieces);
    const transport = new DeviceTransport(device);
    await expect(transport.send(COMMAND)).rejects.toThrow(message);
    await expect(transport.send(COMMAND)).rejects.toMatchObject({ code: 'tpm-failed' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(device.closed()).toBe(1);
  });

  test('gives up after its time, and closes the device once the kernel gives it back', async () => {
    let answer: (() => void) | undefined;
    const device = fakeDevice([RESPONSE], () => new Promise((resolve) => (answer = resolve)));
    const transport = new DeviceTransport(device, { timeoutMs: 10 });
    await expect(transport.send(COMMAND)).rejects.toThrow('did not answer within 0.01 s');
    await transport[Symbol.asyncDispose]();
    expect(device.closed()).toBe(0);
    answer?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(device.closed()).toBe(1);
  });

  test('is closed once, and says so afterwards', async () => {
    const device = fakeDevice([RESPONSE]);
    const transport = new DeviceTransport(device);
    await transport[Symbol.asyncDispose]();
    await transport[Symbol.asyncDispose]();
    expect(device.closed()).toBe(1);
    await expect(transport.send(COMMAND)).rejects.toThrow('device is closed');
  });

  test.each<[string, Uint8Array]>([
    ['is cut', COMMAND.subarray(0, 11)],
    ['has no header', COMMAND.subarray(0, 4)],
    ['is longer than a TPM takes', longCommand(4097)],
  ])('does not send a command that %s', async (_, command) => {
    const device = fakeDevice([RESPONSE]);
    await using transport = new DeviceTransport(device);
    await expect(transport.send(command)).rejects.toThrow('a TPM command of');
    expect(device.written).toEqual([]);
  });
});

describe('openTpmDevice()', () => {
  test('refuses what is not there, and what is no device', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ringwall-tpm-'));
    try {
      await expect(openTpmDevice(join(dir, 'absent'))).rejects.toMatchObject({ code: 'tpm-failed' });
      writeFileSync(join(dir, 'file'), '');
      await expect(openTpmDevice(join(dir, 'file'))).rejects.toThrow('is no character device');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('a device that is no TPM fails at its first command', async () => {
    await using transport = await openTpmDevice('/dev/null');
    await expect(tpmOver(transport).getRandom(4)).rejects.toMatchObject({ code: 'tpm-failed' });
  });
});

test('fakeTpm() answers by command code, and refuses the rest as a TPM would', async () => {
  const fake = fakeTpm({ [TPM_CC.Startup]: RESPONSE });
  const tpm = tpmOver(fake);
  await tpm.startup();
  await expect(tpm.selfTest()).rejects.toThrow(TpmError);
  await expect(tpm.selfTest()).rejects.toMatchObject({ code: 'unsupported' });
  expect(fake.sent).toHaveLength(3);
});

/** Gives `pieces` one after the other, then nothing; `before` holds a write up. */
function fakeDevice(
  pieces: readonly Uint8Array[],
  before: () => Promise<void> = async () => undefined,
): TpmDeviceFile & { readonly written: Uint8Array[]; readonly closed: () => number } {
  const left = [...pieces];
  const written: Uint8Array[] = [];
  let closed = 0;
  return {
    written,
    closed: () => closed,
    write: async (bytes) => {
      await before();
      written.push(bytes);
      return { bytesWritten: bytes.length };
    },
    read: async (buffer, offset) => {
      const piece = left.shift() ?? new Uint8Array(0);
      buffer.set(piece, offset);
      return { bytesRead: piece.length };
    },
    close: async () => {
      closed += 1;
    },
  };
}

function longCommand(bytes: number): Uint8Array {
  const command = new Uint8Array(bytes);
  new DataView(command.buffer).setUint32(2, bytes);
  return command;
}
