// `ringwall prove`: writes the proof bundle, whole or not at all.
import { chownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { argumentOf, printJson, type Invocation } from '../invocation.ts';

export async function run(invocation: Invocation): Promise<void> {
  const { out, self, values, json } = invocation;
  const machine = argumentOf(invocation, 0);
  const proof = await invocation.withApi((api) => api.call('machineProof', { params: { machine } }));
  const text = `${JSON.stringify(proof, undefined, 2)}\n`;
  const output = values.get('output') ?? `${machine}.proof.json`;
  if (output === '-') {
    out.write(text);
    return;
  }
  const file = resolve(output);
  writeWhole(file, text, invocation.environment);
  if (json) {
    printJson(invocation, { machine, file, bytes: Buffer.byteLength(text) });
    return;
  }
  out.line(`The proof of ${machine} is in ${output}.`);
  out.line(`Check it, here or anywhere: ${self} verify ${output}`);
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
