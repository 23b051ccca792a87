// A TPM's control channel, whose other end answers what it is told to: a TPM may be broken into by its guest.
import { duplexPair } from 'node:stream';
import { Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { MAX_TPM_BLOB_BYTES, SwtpmControl } from './control-channel.ts';

const ENCRYPTED = 2;
const blob = (bytes: number, { result = 0, flags = ENCRYPTED, total = bytes } = {}): Writer =>
  new Writer().u32be(result).u32be(flags).u32be(total).u32be(bytes);

/** A channel, what was sent by it, and the answers that come one after the other, then its end. */
function channel(...answers: readonly Uint8Array[]): { readonly control: SwtpmControl; readonly sent: () => string[] } {
  const [ours, theirs] = duplexPair();
  const left = [...answers];
  const sent: Buffer[] = [];
  theirs.on('data', (command: Buffer) => {
    sent.push(command);
    theirs.write(left.shift() ?? new Uint8Array());
    if (left.length === 0) theirs.end();
  });
  return { control: new SwtpmControl(ours), sent: () => sent.map((command) => command.toString('hex')) };
}

describe('SwtpmControl', () => {
  test('asks for both parts of a state, and takes them as they are', async () => {
    const { control, sent } = channel(
      blob(3)
        .bytes(Uint8Array.of(1, 2, 3))
        .finish(),
      blob(1).bytes(Uint8Array.of(4)).finish(),
    );
    expect(await control.readState()).toEqual({ permanent: Uint8Array.of(1, 2, 3), volatile: Uint8Array.of(4) });
    // CMD_GET_STATEBLOB, no flags, the type, from the first byte.
    expect(sent()).toEqual(['0000000c000000000000000100000000', '0000000c000000000000000200000000']);
  });

  test('gives both back, then switches the TPM on', async () => {
    const done = new Uint8Array(4);
    const { control, sent } = channel(done, done, done);
    await control.loadState({ permanent: Uint8Array.of(1, 2, 3), volatile: Uint8Array.of(4) });
    expect(sent()).toEqual([
      '0000000d000000020000000100000003010203',
      '0000000d00000002000000020000000104',
      '0000000200000000',
    ]);
  });

  test.each<[string, Uint8Array]>([
    ['a state in clear', blob(3, { flags: 0 }).bytes(new Uint8Array(3)).finish()],
    ['a part of a state', blob(3, { total: 4 }).bytes(new Uint8Array(3)).finish()],
    ['a state of nothing', blob(0).finish()],
    ['a state larger than any', blob(MAX_TPM_BLOB_BYTES + 1).finish()],
    ['less than it says', blob(3).bytes(new Uint8Array(2)).finish()],
    ['that it cannot', blob(0, { result: 9 }).finish()],
    ['half an answer', new Uint8Array(7)],
  ])('takes no TPM that answers %s', async (_, answer) => {
    const { control } = channel(answer);
    await expect(control.readState()).rejects.toMatchObject({ code: 'tpm-failed' });
  });

  test.each([0, 1, 2])('says where a TPM refuses what it is given, at step %i', async (step) => {
    const answers = [0, 1, 2].map((each) => Uint8Array.of(0, 0, 0, each === step ? 9 : 0));
    const { control } = channel(...answers);
    const loaded = control.loadState({ permanent: Uint8Array.of(1), volatile: Uint8Array.of(2) });
    await expect(loaded).rejects.toThrow(/refused .*: 0x9/);
  });
});
