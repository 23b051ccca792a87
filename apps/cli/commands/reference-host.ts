// `ringwall reference host`: enrols this host. What its own TPM has measured, and what its files are now, is written into a
// file by the host's own word; it counts once a person who has reason to believe in it has accepted it.
import { RingwallError } from '@ringwall/api/errors';
import { defaultPolicy, parseHostReference, policyJson, type HostReference, type PolicyV2 } from '@ringwall/evidence';
import { printJson, type Invocation } from '../invocation.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** Firmware, boot loader and kernel, IMA, and what shim measures of its own keys. */
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14];
/** Longer than an emulated boot takes. */
const MAX_AGE_SECONDS = 600;

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, values, environment } = invocation;
  const output = values.get('output');
  const policyFile = values.get('policy');
  const everything = invocation.flags.has('everything');
  if (output === undefined) {
    throw new RingwallError('bad-request', 'reference host needs a file to write', {
      hint: `as in: ${self} reference host --output host.json`,
    });
  }
  const answer = await invocation.withApi((api) => api.call('hostReference', { body: { everything } }));
  const reference = parseHostReference(answer.reference);
  writeWhole(output, `${JSON.stringify(answer.reference, undefined, 2)}\n`, environment);
  if (policyFile !== undefined) {
    writeWhole(
      policyFile,
      `${JSON.stringify(policyJson(policyFor(reference, everything)), undefined, 2)}\n`,
      environment,
    );
  }
  if (invocation.json) {
    printJson(invocation, answer);
    return;
  }
  const { host, events, files } = reference;
  const required = files.filter((file) => file.required).length;
  out.line(`What ${host} is lies in ${output}: ${events.length} measurements of its boot, and ${files.length} files,`);
  out.line(`of which ${required} must run before a machine of it is believed.`);
  for (const path of answer.unmeasured) {
    out.line(`Nobody will see when ${plainText(path)} changes: the IMA policy of this host does not measure it.`);
  }
  out.line('It is this host’s own word. Accept it only if you know that this host is sound now:');
  out.line(`  ${self} reference diff ${output}`);
  out.line(`  ${self} reference accept ${output}`);
  if (policyFile === undefined) return;
  out.line(`From then on machines need the proof of their host once this policy is in force, too:`);
  out.line(`  ${self} reference accept ${policyFile}`);
}

/** What is in force where nobody has written a policy, and that the host must be this one. */
function policyFor({ publicKey }: HostReference, everything: boolean): PolicyV2 {
  const { bank, pcrs, untouchedPcrs } = defaultPolicy;
  return {
    version: 2,
    evidence: ['vtpm', 'host-tpm'],
    bank,
    pcrs,
    untouchedPcrs,
    rules: [],
    hostTpm: {
      version: 1,
      kind: 'host-tpm',
      pcrs: PCRS,
      signers: [Buffer.from(publicKey).toString('hex')],
      ekRoots: [],
      rules: [],
      others: everything ? 'refuse' : 'show',
      maxAgeSeconds: MAX_AGE_SECONDS,
      exceptions: [],
    },
  };
}
