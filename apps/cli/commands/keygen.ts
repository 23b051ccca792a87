// `ringwall keygen`: a key to seal files for, whose private half stays in one file.
import { RingwallError } from '@ringwall/api/errors';
import { makeKeyPair } from '@ringwall/seal';
import { openOutput } from '../sealed/ends.ts';
import { renderIdentity, renderRecipient } from '../sealed/key-files.ts';
import { newPersonKey } from '../sealed/person-key.ts';
import { printJson, type Invocation } from '../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  const file = invocation.values.get('output');
  if (file === undefined) {
    throw new RingwallError('bad-request', 'keygen needs a file for the key', {
      hint: `as in: ${invocation.self} keygen -o backup.key`,
    });
  }
  const output = await openOutput(file);
  if (invocation.flags.has('person')) {
    const made = newPersonKey();
    await output.write(Buffer.from(made.file));
    await output.keep();
    if (invocation.json) printJson(invocation, { file, person: made.person });
    else invocation.out.line(made.person);
    return;
  }
  const { publicKey, privateKey } = await makeKeyPair();
  await output.write(Buffer.from(renderIdentity(privateKey)));
  await output.keep();
  const recipient = renderRecipient(publicKey);
  if (invocation.json) printJson(invocation, { file, recipient });
  else invocation.out.line(recipient);
}
