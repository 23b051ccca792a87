// `ringwall prove`: writes the proof bundle, whole or not at all.
import { chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';
import { BROKER_KEY, rememberBroker } from '../known-brokers.ts';

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

function writeWhole(file: string, text: string, environment: Invocation['environment']): void {
  const beside = `${file}.unfinished-${String(process.pid)}`;
  try {
    writeFileSync(beside, text, { flag: 'wx' });
    // Through sudo, the file is still for who asked for it.
    const [uid, gid] = [Number(environment['SUDO_UID']), Number(environment['SUDO_GID'])];
    if (process.getuid?.() === 0 && uid > 0 && gid > 0) chownSync(beside, uid, gid);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
