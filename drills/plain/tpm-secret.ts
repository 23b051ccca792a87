// What somebody keeps in a plain TPM: a text in an index of the owner's range. The TPM is started on its state for each look, as a machine
// would have it.
import { utf8 } from '@ringwall/bytes';
import { PlainTpm } from '@ringwall/testkit';
import { bodyOf, commands, EK_CERTIFICATE_NV_ATTRIBUTES, parseFields } from '@ringwall/tpm';

const NV_INDEX = 0x01500016;
/** Of a state directory: the file in which swtpm keeps everything. */
export const TPM_STATE_FILE = 'tpm2-00.permall';

export async function keepInTpm(state: string, secret: string): Promise<void> {
  await using tpm = await PlainTpm.start(state);
  const data = utf8(secret);
  const index = { nvIndex: NV_INDEX, attributes: EK_CERTIFICATE_NV_ATTRIBUTES, dataSize: data.length };
  bodyOf(await tpm.run(commands.nvDefineSpace(index)));
  bodyOf(await tpm.run(commands.nvWrite({ nvIndex: NV_INDEX, data, offset: 0 })));
}

/** Zeros in its place: it counts no more. */
export async function revokeInTpm(state: string, { length }: string): Promise<void> {
  await using tpm = await PlainTpm.start(state);
  bodyOf(await tpm.run(commands.nvWrite({ nvIndex: NV_INDEX, data: new Uint8Array(length), offset: 0 })));
}

/** As many bytes as it should have. */
export async function readFromTpm(state: string, { length: size }: string): Promise<string> {
  await using tpm = await PlainTpm.start(state);
  const { data } = parseFields('nvRead', await tpm.run(commands.nvRead({ nvIndex: NV_INDEX, size, offset: 0 })));
  return new TextDecoder('latin1').decode(data);
}
