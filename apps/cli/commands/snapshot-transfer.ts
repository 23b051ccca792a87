// `ringwall snapshot export`, `import` and `recipient`: a snapshot for another host, or for a tenant, as one file.
import { readFile, stat } from 'node:fs/promises';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { ErrorBody } from '@ringwall/api';
import { RingwallError } from '@ringwall/api/errors';
import type { ImportedSnapshot } from '@ringwall/api/transfers';
import { toHex } from '@ringwall/bytes';
import { EvidenceError, parseExport, parseHostRecipient, verifyHostRecipient } from '@ringwall/evidence';
import { nativeBlake3 } from '@ringwall/host/seal';
import { readObjectHead, scrub, SealError } from '@ringwall/seal';
import { errorFrom } from '../api-client.ts';
import { printJson, type Invocation } from '../invocation.ts';
import { openOutput } from '../sealed/ends.ts';
import { openExportFile, renderExportHead, type ExportFile } from '../sealed/export-file.ts';
import { parseRecipient, renderRecipient } from '../sealed/key-files.ts';
import { Steps } from '../sealed/steps.ts';
import { plainText } from '../terminal.ts';
import { writeWhole } from '../write-whole.ts';

/** A key, a time and a signature. */
const MAX_RECIPIENT_FILE_BYTES = 4096;
/** As the daemon ends an import: a machine, a snapshot, or why not. */
const ANSWER_LIMIT_CHARACTERS = 256 * 1024;

/** Prints what others export to. */
export async function printRecipient(invocation: Invocation): Promise<void> {
  const { out, json, values, environment, self } = invocation;
  await invocation.needServices();
  const { file } = await invocation.withApi((api) => api.call('hostRecipient'));
  const { recipient, broker } = parseHostRecipient(file);
  const [text, fingerprint] = [renderRecipient(recipient), fingerprintOf(broker.publicKey)];
  const output = values.get('output');
  if (output !== undefined) writeWhole(output, file, environment);
  if (json) printJson(invocation, { recipient: text, broker: fingerprint });
  else {
    out.line(text);
    if (output === undefined) return;
    out.line(`${output} says so, signed by the broker ${fingerprint}`);
    out.line(
      `There is no secret in it. Where the snapshot is: ${self} snapshot export NAME@NUMBER --to ${output} -o FILE`,
    );
  }
}

export async function exportSnapshot(invocation: Invocation, [name, ...more]: readonly string[]): Promise<void> {
  const { out, json, values, flags, self } = invocation;
  const [to, target] = [values.get('to'), values.get('output')];
  if (name === undefined || more.length > 0 || to === undefined || target === undefined) {
    throw new RingwallError('bad-request', 'snapshot export needs a snapshot, for whom, and a file', {
      hint: `as in: ${self} snapshot export web@1 --to beta.json -o web.ringwall`,
    });
  }
  const recipient = await recipientOf(invocation, to);
  const mode = flags.has('move') ? 'move' : 'backup';
  await invocation.needServices();
  const output = await openOutput(target);
  using progress = invocation.progress();
  try {
    const {
      ticket,
      head,
      bytes,
      bases = [],
    } = await invocation.withApi((api) =>
      api.call('exportSnapshot', { params: { snapshot: name }, body: { recipient, mode } }),
    );
    const objects = [...bases, { name, head, bytes }];
    const total = objects.reduce((sum, object) => sum + object.bytes, 0);
    const steps = new Steps(progress, 'exporting', name, total);
    await output.write(renderExportHead(ticket));
    const { bases: signed, snapshot } = parseExport(ticket);
    for (const [index, object] of objects.entries()) {
      const { socket, head: first } = await invocation.api.openSnapshotContents(object.name);
      socket.on('error', () => {});
      using _socket = { [Symbol.dispose]: () => void socket.destroy() };
      const pieces = written(output, [Buffer.from(object.head, 'base64'), first], socket);
      await requireWhole(object.name, steps.counted(pieces), (signed[index] ?? snapshot).root);
    }
    await output.keep();
  } catch (error) {
    progress.fail();
    await output.drop();
    throw error;
  }
  progress.clear();
  if (json) {
    printJson(invocation, { file: target, snapshot: name, recipient: `ringwall-recipient:${recipient}`, mode });
    return;
  }
  out.line(
    `${out.tick} ${target} is ${plainText(name)}, and only ringwall-recipient:${recipient.slice(0, 16)}… opens it`,
  );
  out.line(`There: ${self} snapshot import ${target}`);
  if (mode === 'backup') return;
  const [machine = name] = name.split('@');
  out.line(`${plainText(machine)} starts here no more. When it runs there: ${self} rm ${plainText(machine)}`);
}

export async function importSnapshot(invocation: Invocation, [path, ...more]: readonly string[]): Promise<void> {
  const { out, json, values, flags, self } = invocation;
  if (path === undefined || more.length > 0) {
    throw new RingwallError('bad-request', 'snapshot import needs one file', {
      hint: `as in: ${self} snapshot import web.ringwall`,
    });
  }
  await using file = await openExportFile(path);
  await invocation.needServices();
  using progress = invocation.progress();
  let imported: ImportedSnapshot;
  let here: ReadonlySet<string>;
  try {
    const heads: string[] = [];
    for (const index of [...file.ticket.bases, file.ticket.snapshot].keys())
      heads.push(await headAt(path, file, index));
    const [head = '', ...bases] = [...heads.slice(-1), ...heads.slice(0, -1)];
    const [name, accept] = [values.get('name'), values.get('accept')];
    const body = {
      ...{ ticket: file.text, head, rewind: flags.has('rewind') },
      ...(bases.length === 0 ? {} : { bases }),
      ...(name === undefined ? {} : { name }),
      ...(accept === undefined ? {} : { accept }),
    };
    const begun = await invocation.withApi((api) => api.call('beginImport', { body }));
    here = new Set(begun.here);
    const pieces = new Steps(progress, 'importing', path, begun.bytes).counted(file.objects(here));
    imported = await send(invocation, begun.snapshot, pieces);
  } catch (error) {
    progress.fail();
    throw error;
  }
  progress.clear();
  if (json) {
    printJson(invocation, imported);
    return;
  }
  const machine = plainText(imported.machine.name);
  const kept = file.ticket.bases
    .filter(({ id }) => here.has(id))
    .map(({ sequence }) => `${machine}@${String(sequence)}`);
  if (kept.length > 0)
    out.line(`Here already, and left as ${kept.length > 1 ? 'they are' : 'it is'}: ${kept.join(', ')}`);
  out.line(`${out.tick} ${machine}@${String(imported.snapshot.sequence)} is here, to the last byte what was exported`);
  out.line(`${machine} is stopped. It goes on where it was saved by: ${self} restore ${machine}`);
}

async function headAt(path: string, file: ExportFile, index: number): Promise<string> {
  const head = await readObjectHead(file.object(index)).catch((error: unknown) => {
    if (!(error instanceof SealError)) throw error;
    throw new RingwallError(
      'proof-invalid',
      `what follows the ticket in ${path} is no sealed object: ${error.message}`,
    );
  });
  return Buffer.from(head.bytes).toString('base64');
}

/** What a person writes after --to: a recipient, or the file in which a host says its own. */
async function recipientOf({ err }: Invocation, to: string): Promise<string> {
  if (to.startsWith('ringwall-recipient:')) {
    const recipient = parseRecipient(to);
    return recipient.kind === 'x25519' ? toHex(recipient.publicKey) : '';
  }
  const found = await stat(to).catch((cause: unknown) => {
    throw new RingwallError('not-found', `${to} is no recipient, and no file`, { cause });
  });
  try {
    if (!found.isFile() || found.size > MAX_RECIPIENT_FILE_BYTES)
      throw new EvidenceError('too-large', 'it is too long');
    const said = parseHostRecipient(await readFile(to));
    if (!(await verifyHostRecipient(said))) throw new EvidenceError('export-invalid', 'it was altered');
    err.line(`${to} is signed by the broker ${fingerprintOf(said.broker.publicKey)}: compare that with who sent it.`);
    return toHex(said.recipient);
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause;
    throw new RingwallError('proof-invalid', `${to} does not say a host’s recipient: ${cause.message}`, { cause });
  }
}

/** The object as it is written. */
async function* written(
  output: { readonly write: (bytes: Uint8Array) => Promise<void> },
  first: readonly Uint8Array[],
  rest: Duplex,
): AsyncGenerator<Uint8Array> {
  for (const piece of first) {
    await output.write(piece);
    if (piece.length > 0) yield piece;
  }
  for await (const piece of rest) {
    if (!(piece instanceof Uint8Array)) continue;
    await output.write(piece);
    yield piece;
  }
}

/** Every byte, against the root that the broker has kept. */
async function requireWhole(name: string, object: AsyncIterable<Uint8Array>, root: string): Promise<void> {
  const why = await scrub(object, nativeBlake3).then(
    (report) => {
      const [damage] = report.damages;
      if (damage !== undefined) return `the record at byte ${damage.offset} is damaged`;
      return report.rootFits && report.root === root ? undefined : 'it is another object than the one that was sealed';
    },
    (error: unknown) => {
      if (!(error instanceof SealError)) throw error;
      return error.message;
    },
  );
  if (why === undefined) return;
  throw new RingwallError('proof-invalid', `${name} is not what was sealed: ${why}`, {
    hint: 'nothing was written: see ringwall snapshot verify',
  });
}

async function send(
  invocation: Invocation,
  snapshot: string,
  pieces: AsyncIterable<Uint8Array>,
): Promise<ImportedSnapshot> {
  const { socket, head } = await invocation.api.openImportContents(snapshot);
  socket.on('error', () => {});
  using _socket = { [Symbol.dispose]: () => void socket.destroy() };
  let text = Buffer.from(head).toString('utf8');
  socket.on('data', (chunk: Buffer) => {
    if (text.length < ANSWER_LIMIT_CHARACTERS) text += chunk.toString('utf8');
  });
  socket.resume();
  const ended = Promise.race([once(socket, 'end'), once(socket, 'close')]);
  ended.catch(() => {});
  for await (const piece of pieces) {
    // Whoever has refused it reads no further.
    if (text !== '' || socket.destroyed) break;
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), ended]);
  }
  socket.end();
  await ended;
  return answerOf(text);
}

function answerOf(text: string): ImportedSnapshot {
  if (text === '') {
    throw new RingwallError('daemon-unavailable', 'ringwalld ended in the middle of the import', {
      hint: 'nothing of it is left: import it again',
    });
  }
  // The type is taken on trust: the daemon checks its answers before it sends them.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const answer = JSON.parse(text) as { readonly done?: ImportedSnapshot; readonly error?: ErrorBody };
  if (answer.done !== undefined) return answer.done;
  throw errorFrom(answer.error ?? { code: 'internal', message: 'ringwalld answered with nonsense' });
}

function fingerprintOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}
