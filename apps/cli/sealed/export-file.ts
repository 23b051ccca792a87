// An exported snapshot as a file (docs/snapshots.md, "To another host"): eight bytes of magic, the length of the ticket, the ticket, and
// the sealed objects: what it continues, from the whole one on, and its own.
import { open, type FileHandle } from 'node:fs/promises';
import { RingwallError } from '@ringwall/api/errors';
import { concatBytes, equalBytes, utf8, Writer } from '@ringwall/bytes';
import { EvidenceError, MAX_EXPORT_BYTES, parseExport, verifyExport, type SignedExport } from '@ringwall/evidence';

/** Not text, so that no mail server changes it, with the number of the layout at its end. */
const MAGIC: Uint8Array<ArrayBuffer> = Uint8Array.of(0xd5, 0x52, 0x57, 0x45, 0x58, 0x50, 0x54, 1);
const LENGTH_BYTES = 4;
const READ_BYTES = 2 ** 20;

export interface ExportFile extends AsyncDisposable {
  /** As its broker has signed it; whether that broker is to be believed, the broker here decides. */
  readonly ticket: SignedExport;
  readonly text: string;
  /** The sealed objects, one behind the other, but those of `without`; to be read as often as wanted. */
  readonly objects: (without: ReadonlySet<string>) => AsyncIterable<Uint8Array>;
  /** One of them, in their order. */
  readonly object: (index: number) => AsyncIterable<Uint8Array>;
}

export function renderExportHead(ticket: string): Uint8Array<ArrayBuffer> {
  const text = utf8(ticket);
  return concatBytes(MAGIC, new Writer().u32be(text.length).finish(), text);
}

/** As `offsetOfObject`, for who wants one object: throws where others come before it, of which it has only what has changed since. */
export async function offsetOfOnlyObject(file: FileHandle, path: string): Promise<number> {
  const offset = await offsetOfObject(file);
  if (offset === 0) return 0;
  const at = MAGIC.length + LENGTH_BYTES;
  const others = basesIn(Buffer.from(await readAt(file, at, offset - at)).toString());
  if (others === 0) return offset;
  throw new RingwallError(
    'bad-request',
    `${path} has ${others + 1} objects, each of what has changed since the one before`,
    {
      hint: 'a host puts them together: ringwall snapshot import',
    },
  );
}

/** Where the sealed objects in a file begin: behind a ticket, or at once. */
async function offsetOfObject(file: FileHandle): Promise<number> {
  const head = await readAt(file, 0, MAGIC.length + LENGTH_BYTES);
  if (!equalBytes(head.subarray(0, MAGIC.length), MAGIC) || head.length < MAGIC.length + LENGTH_BYTES) return 0;
  const length = new DataView(head.buffer).getUint32(MAGIC.length);
  return length > MAX_EXPORT_BYTES ? 0 : head.length + length;
}

/** Throws RingwallError for what is none, was altered, or has not the length that its ticket says. */
export async function openExportFile(path: string): Promise<ExportFile> {
  await using opened = new AsyncDisposableStack();
  const file = opened.use(
    await open(path).catch((cause: unknown) => {
      throw new RingwallError('not-found', `${path} cannot be read`, { cause });
    }),
  );
  const offset = await offsetOfObject(file);
  if (offset === 0) {
    throw new RingwallError('bad-request', `${path} is no exported snapshot`, {
      hint: 'one is written by: ringwall snapshot export',
    });
  }
  const text = Buffer.from(
    await readAt(file, MAGIC.length + LENGTH_BYTES, offset - MAGIC.length - LENGTH_BYTES),
  ).toString();
  const ticket = await checked(path, text);
  const left = (await file.stat()).size - offset;
  const all = [...ticket.bases, ticket.snapshot];
  const offsetOf = (index: number): number => all.slice(0, index).reduce((sum, { bytes }) => sum + bytes, offset);
  const said = offsetOf(all.length) - offset;
  if (left !== said) {
    throw new RingwallError('proof-invalid', `${path} has ${left} bytes behind its ticket, which says ${said}`, {
      hint: left < said ? 'it was cut: have it sent again' : 'something was put behind its end',
    });
  }
  const toDispose = opened.move();
  const object = (index: number): AsyncGenerator<Uint8Array> =>
    readBytes(file, offsetOf(index), all[index]?.bytes ?? 0);
  async function* objects(without: ReadonlySet<string>): AsyncGenerator<Uint8Array> {
    for (const [index, { id }] of all.entries()) if (!without.has(id)) yield* object(index);
  }
  return { ticket, text, objects, object, [Symbol.asyncDispose]: () => toDispose.disposeAsync() };
}

/** How many go before the object of a ticket; of one that was altered the object is there all the same. */
function basesIn(ticket: string): number {
  try {
    return parseExport(ticket).bases.length;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return 0;
  }
}

async function checked(path: string, text: string): Promise<SignedExport> {
  try {
    const ticket = parseExport(text);
    if (await verifyExport(ticket)) return ticket;
  } catch (cause) {
    if (!(cause instanceof EvidenceError)) throw cause;
    throw new RingwallError('proof-invalid', `the ticket in ${path} is none: ${cause.message}`, { cause });
  }
  throw new RingwallError('proof-invalid', `the ticket in ${path} was altered after its broker signed it`);
}

async function* readBytes(file: FileHandle, offset: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < offset + bytes;) {
    const piece = await readAt(file, at, Math.min(READ_BYTES, offset + bytes - at));
    if (piece.length === 0) return;
    yield piece;
    at += piece.length;
  }
}

async function readAt(file: FileHandle, at: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await file.read(buffer, filled, bytes - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
