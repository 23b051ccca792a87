import { fromHex, ParseError, toHex, Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { TpmError } from '../tpm-error.ts';
import { tpmOver } from './tpm.ts';
import type { Transport } from './transport.ts';

const RANDOM = response(0, '0004deadbeef');
const RETRY = response(0x922);

describe('tpmOver()', () => {
  test('sends the bytes of the command and gives the fields of the answer', async () => {
    const sent: string[] = [];
    const tpm = tpmOver(answering([RANDOM], sent));
    expect(await tpm.getRandom(4)).toEqual({ randomBytes: fromHex('deadbeef') });
    expect(sent).toEqual(['80010000000c0000017b0004']);
  });

  test('a refusal is a TpmError with the place of the fault', async () => {
    const tpm = tpmOver(answering([response(0x98e), response(0x2d5)]));
    await expect(tpm.unseal(0x8000_0000)).rejects.toMatchObject({ code: 'authorization', responseCode: 0x98e });
    await expect(tpm.unseal(0x8000_0000)).rejects.toThrow('TPM_RC_SIZE at parameter 2');
  });

  test('sends one command at a time, also after one that failed', async () => {
    let busy = 0;
    const transport: Transport = {
      send: async (command) => {
        busy += 1;
        expect(busy).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        busy -= 1;
        if (command.at(-1) === 1) throw new Error('the bus is gone');
        return RANDOM;
      },
    };
    const tpm = tpmOver(transport);
    const all = await Promise.allSettled([1, 2, 3].map((bytes) => tpm.getRandom(bytes)));
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  test('sends a command again that the TPM did not begin, and not for ever', async () => {
    const sent: string[] = [];
    expect(await tpmOver(answering([RETRY, RETRY, RANDOM], sent)).getRandom(4)).toBeDefined();
    expect(new Set(sent).size).toBe(1);
    expect(sent).toHaveLength(3);
    const never: string[] = [];
    const stuck = tpmOver(
      answering(
        Array.from({ length: 20 }, () => RETRY),
        never,
      ),
    );
    await expect(stuck.getRandom(4)).rejects.toMatchObject({ code: 'busy' });
    expect(never).toHaveLength(5);
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a cut answer', RANDOM.subarray(0, 13)],
    ['a field longer than the answer', response(0, '0005deadbeef')],
    ['a byte behind the fields', response(0, '0004deadbeef00')],
    ['more than a TPM can give', response(0, `0041${'00'.repeat(65)}`)],
  ])('%s is a ParseError', async (_, bytes) => {
    await expect(tpmOver(answering([bytes])).getRandom(4)).rejects.toThrow(ParseError);
  });

  test('reads handle, parameters and sessions of an answer, to its last byte', async () => {
    const parameters = '0002abcd';
    const sessions = '0000010000';
    const whole = response(0, `00000004${parameters}${sessions}`, 0x8002);
    expect(await tpmOver(answering([whole])).unseal(1)).toEqual({ outData: fromHex('abcd') });
    for (const [body, message] of [
      [`00000005${parameters}${sessions}`, 'parameters has 1 bytes after its end'],
      [`00000003${parameters}${sessions}`, 'outData needs 2 bytes'],
      [`000000ff${parameters}${sessions}`, 'parameters needs 255 bytes'],
      [`00000004${parameters}${sessions}00`, 'nonceTPM.size needs 2 bytes'],
      [`00000004${parameters}${sessions.repeat(4)}`, 'sessions expected at most 3'],
    ] as const) {
      await expect(tpmOver(answering([response(0, body, 0x8002)])).unseal(1)).rejects.toThrow(message);
    }
  });

  test('a hole that nobody filled is refused before anything is sent', async () => {
    const sent: string[] = [];
    const tpm = tpmOver(answering([RANDOM], sent));
    await expect(tpm.flushContext({ slot: 'handle', bytes: 4 })).rejects.toThrow(TpmError);
    expect(sent).toEqual([]);
  });
});

/** Answers each command with the next of `answers`, and keeps what was sent. */
function answering(answers: readonly Uint8Array[], sent: string[] = []): Transport {
  const left = [...answers];
  return {
    send: async (command) => {
      sent.push(toHex(command));
      return left.shift() ?? new Uint8Array(0);
    },
  };
}

function response(code: number, body = '', tag = 0x8001): Uint8Array {
  const bytes = fromHex(body);
  return new Writer()
    .u16be(tag)
    .u32be(10 + bytes.length)
    .u32be(code)
    .bytes(bytes)
    .finish();
}
