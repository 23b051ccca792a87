// `ringwall prove`: writes the proof bundle, whole or not at all.
import { resolve } from 'node:path';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { BROKER_KEY, rememberBroker } from '../known-brokers.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, values, json } = invocation;
  const machine = argumentOf(invocation, 0);
  if (invocation.flags.has('ear')) {
    await writeEar(invocation, machine);
    return;
  }
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
  const without = proof['ima'] === undefined ? await whyWithoutRan(invocation, machine) : undefined;
  if (json) {
    const leftOut = without === undefined ? {} : { leftOut: without };
    printJson(invocation, { machine, file, bytes: Buffer.byteLength(text), brokerKey, ...leftOut });
    return;
  }
  out.line(`The proof of ${machine} is in ${output}.`);
  if (without !== undefined) out.line(`It has nothing of what ran since the boot: ${plainText(without)}.`);
  out.line(`Check it here: ${self} verify ${output}`);
  out.line('Elsewhere it counts by the key of this broker, which you hand over by another way than the proof:');
  out.line(`  ${self} verify ${output} --broker-key ${brokerKey}`);
}

/** The broker has just tried, and said why: the machine's watch has it. */
async function whyWithoutRan(invocation: Invocation, machine: string): Promise<string> {
  const { watch, machine: seen } = await invocation.withApi((api) => api.call('showMachine', { params: { machine } }));
  if (watch?.leftOut !== undefined) return watch.leftOut;
  return watch === undefined && seen.status.phase === 'running'
    ? 'it is not watched'
    : 'no answer of its watch is known';
}

/** A token is one line, for a header or a pipe: standard output is where it goes unless a file is named. */
async function writeEar(invocation: Invocation, machine: string): Promise<void> {
  const { out, values, json } = invocation;
  const { token } = await invocation.withApi((api) => api.call('machineEar', { params: { machine } }));
  const output = values.get('output') ?? '-';
  if (output !== '-') writeWhole(resolve(output), `${token}\n`, invocation.environment);
  if (json) printJson(invocation, { machine, token });
  else out.line(output === '-' ? token : `The attestation result of ${machine} is in ${output}.`);
}

function brokerKeyOf(proof: Readonly<Record<string, unknown>>): string {
  const { broker } = proof;
  const key = typeof broker === 'object' && broker !== null && 'publicKey' in broker ? broker.publicKey : undefined;
  return typeof key === 'string' && BROKER_KEY.test(key) ? key : '';
}
