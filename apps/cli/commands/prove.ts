// `ringwall prove`: writes the proof bundle, whole or not at all.
import { resolve } from 'node:path';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { BROKER_KEY, rememberBroker } from '../known-brokers.ts';
import { writeWhole } from '../write-whole.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, values, json } = invocation;
  const machine = argumentOf(invocation, 0);
  const proof = await invocation.withApi((api) => api.call('machineProof', { params: { machine } }));
  const brokerKey = brokerKeyOf(proof);
  rememberBroker(brokerKey, invocation.paths, invocation.environment, new Date(invocation.now()));
  const text = `${JSON.stringify(proof, undefined, 2)}\n`;
  const output = values.get('output') ?? `${machine}.proof.json`;
  if (output === '-') {
    out.write(text);
    return;
  }
  const file = resolve(output);
  writeWhole(file, text, invocation.environment);
  if (json) {
    printJson(invocation, { machine, file, bytes: Buffer.byteLength(text), brokerKey });
    return;
  }
  out.line(`The proof of ${machine} is in ${output}.`);
  out.line(`Check it here: ${self} verify ${output}`);
  out.line('Elsewhere it counts by the key of this broker, which you hand over by another way than the proof:');
  out.line(`  ${self} verify ${output} --broker-key ${brokerKey}`);
}

function brokerKeyOf(proof: Readonly<Record<string, unknown>>): string {
  const { broker } = proof;
  const key = typeof broker === 'object' && broker !== null && 'publicKey' in broker ? broker.publicKey : undefined;
  return typeof key === 'string' && BROKER_KEY.test(key) ? key : '';
}
