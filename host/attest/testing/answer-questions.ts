// The program of a host in a test that is itself a guest: it answers questions that come on a port, one JSON line each, with
// what the warden would collect, and runs programs when it is told to.
import { createReadStream, createWriteStream, openSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { run } from '../../exec/index.ts';
import { answerAsHost, describeHostFiles, findHostTpm, readBounded, readHostIdentity } from '../index.ts';

const PORT_NAME = 'org.ringwall.attest';
const PORTS = '/sys/class/virtio-ports';
const LOG_BYTES = 1024 * 1024;

/** A question of the test; bytes in base64. */
export type Question =
  | { readonly op: 'describe' }
  | { readonly op: 'run'; readonly argv: readonly string[] }
  | {
      readonly op: 'answer';
      readonly qualifyingData: string;
      readonly pcrs: readonly number[];
      readonly credential: { readonly idObject: string; readonly encryptedSecret: string };
    };

const port = readdirSync(PORTS).find((name) => readFileSync(`${PORTS}/${name}/name`, 'utf8').trim() === PORT_NAME);
// A port is opened once at a time.
const fd = openSync(`/dev/${port ?? ''}`, 'r+');
const out = createWriteStream('', { fd, autoClose: false });
const say = (value: object): void => void out.write(`${JSON.stringify(value)}\n`);
say({ ready: true });
for await (const line of createInterface(createReadStream('', { fd, autoClose: false }))) {
  try {
    const question: Question = JSON.parse(line);
    say(await answer(question));
  } catch (error) {
    say({ error: String(error) });
  }
}

async function answer(question: Question): Promise<object> {
  // Nobody has configured this host: it is the kernel's own TPM.
  const config = await findHostTpm('/etc/host-tpm.json');
  if (config === undefined) throw new Error('no TPM was found');
  if (question.op === 'run') {
    const { code, stderr } = await run(question.argv);
    return { code, stderr: stderr.toString('utf8').slice(-500) };
  }
  if (question.op === 'answer') {
    const { idObject, encryptedSecret } = question.credential;
    const { opened = new Uint8Array(), ...rest } = await answerAsHost(config, {
      qualifyingData: bytes(question.qualifyingData),
      pcrs: question.pcrs,
      credential: { idObject: bytes(idObject), encryptedSecret: bytes(encryptedSecret) },
    });
    return mapped({ opened, ...rest });
  }
  const files = await describeHostFiles({
    run,
    programs: ['/usr/bin/qemu-system-x86_64', '/usr/bin/swtpm'],
    node: process.execPath,
    warden: process.argv[1] ?? '',
    imaLog: await readBounded(config.imaLog, LOG_BYTES),
    everything: false,
  });
  const { ekCertificate, ekPublic, akPublic } = await readHostIdentity(config);
  const eventLog = base64(await readBounded(config.eventLog, LOG_BYTES));
  return { ...files, eventLog, ...mapped({ ekCertificate, ekPublic, akPublic }) };
}

function mapped(fields: Readonly<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, base64(value)]));
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
