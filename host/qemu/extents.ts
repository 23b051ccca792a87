// Asks an NBD server which parts of a disk have a property (https://github.com/NetworkBlockDevice/nbd, doc/proto.md, "Metadata
// querying"): where it holds data, or what was written to it since a bitmap of QEMU's was begun. No data goes this way. An
// escaped guest may answer here: what it says is bounded, and can only spoil the copy of its own disk.
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api';
import { readExactly } from '../disk/read-exactly.ts';

const TIMEOUT_MS = 20_000;
/** Of all questions together: of a disk of 64 TiB they take some seconds. */
const MOST_MS = 60_000;
const GREETING = Buffer.from('NBDMAGICIHAVEOPT', 'latin1');
const OPTION = { go: 7, structuredReply: 8, setMetaContext: 10 } as const;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
const OPTION_REPLY = { ack: 1, info: 3, metaContext: 4 } as const;
const REQUEST_MAGIC = 0x25609513;
const CHUNK_MAGIC = 0x668e33ef;
const COMMAND = { disconnect: 2, blockStatus: 7 } as const;
const CHUNK_BLOCK_STATUS = 5;
const INFO_EXPORT = 0;
/** Of one question: 32 bits, in whole MiB. */
const MAX_ASKED_BYTES = 2 ** 32 - 2 ** 20;
/** QEMU puts 128 Ki extents into an answer, of 8 bytes each. */
const MAX_REPLY_BYTES = 2 * 2 ** 20;
/** 64 TiB in pieces of 64 MiB, and far more than a disk has that was used. */
const MAX_EXTENTS = 2 ** 20;

export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** What a context says of an extent (`base:allocation`: 1 a hole, 2 zeros; `qemu:dirty-bitmap:…`: 1 written). */
export interface FlaggedExtent extends Extent {
  readonly flags: number;
}

/** Of the whole disk, in order. Takes the connection over and ends it. */
export async function readExtents(
  socket: Socket,
  name: string,
  context: string,
  mostMs: number = MOST_MS,
): Promise<FlaggedExtent[]> {
  const deadline = performance.now() + mostMs;
  try {
    const sizeBytes = await negotiate(socket, name, context);
    const extents: FlaggedExtent[] = [];
    for (let offset = 0; offset < sizeBytes;) {
      const answer = await ask(socket, offset, Math.min(MAX_ASKED_BYTES, sizeBytes - offset));
      for (const { length, flags } of answer) {
        const extent = { offset, length: Math.min(length, sizeBytes - offset), flags };
        if (extent.length <= 0) throw new Error('it speaks of what is not on the disk');
        extents.push(extent);
        offset += extent.length;
      }
      if (performance.now() > deadline) throw new Error(`it took more than ${mostMs / 1000} s`);
      if (extents.length > MAX_EXTENTS) throw new Error(`it knows of more than ${MAX_EXTENTS} extents`);
    }
    socket.end(request(COMMAND.disconnect, 0, 0));
    return extents;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RingwallError('vmm-failed', `QEMU did not say what its disk holds: ${why}`, { cause });
  } finally {
    socket.destroySoon();
  }
}

async function negotiate(socket: Socket, name: string, context: string): Promise<number> {
  const greeting = await readExactly(socket, GREETING.length + 2, TIMEOUT_MS);
  if (!greeting.subarray(0, GREETING.length).equals(GREETING)) throw new Error('it speaks no NBD');
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(greeting.readUInt16BE(GREETING.length) & 3);
  socket.write(Buffer.concat([flags, option(OPTION.structuredReply, Buffer.alloc(0))]));
  await answersTo(socket, OPTION.structuredReply);
  socket.write(option(OPTION.setMetaContext, Buffer.concat([text(name), u32(1), text(context)])));
  const known = await answersTo(socket, OPTION.setMetaContext);
  if (known.length !== 1) throw new Error(`it knows no ${context}`);
  socket.write(option(OPTION.go, Buffer.concat([text(name), Buffer.of(0, 0)])));
  const infos = await answersTo(socket, OPTION.go);
  const exported = infos.find((info) => info.length === 12 && info.readUInt16BE(0) === INFO_EXPORT);
  if (exported === undefined) throw new Error('it did not say how large the disk is');
  return Number(exported.readBigUInt64BE(2));
}

/** What came before the acknowledgement. */
async function answersTo(socket: Socket, asked: number): Promise<Buffer[]> {
  const answers: Buffer[] = [];
  for (;;) {
    const header = await readExactly(socket, 20, TIMEOUT_MS);
    const [type, length] = [header.readUInt32BE(12), header.readUInt32BE(16)];
    if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || header.readUInt32BE(8) !== asked) {
      throw new Error('it answered what nobody asked');
    }
    if (length > MAX_REPLY_BYTES || answers.length > 16) throw new Error('it says too much');
    const data = length === 0 ? Buffer.alloc(0) : await readExactly(socket, length, TIMEOUT_MS);
    if (type === OPTION_REPLY.ack) return answers;
    if (type !== OPTION_REPLY.info && type !== OPTION_REPLY.metaContext) throw new Error(`it refused option ${asked}`);
    answers.push(data);
  }
}

async function ask(socket: Socket, offset: number, length: number): Promise<{ length: number; flags: number }[]> {
  socket.write(request(COMMAND.blockStatus, offset, length));
  const header = await readExactly(socket, 20, TIMEOUT_MS);
  const bytes = header.readUInt32BE(16);
  if (header.readUInt32BE(0) !== CHUNK_MAGIC || header.readBigUInt64BE(8) !== BigInt(offset)) {
    throw new Error('it answered what nobody asked');
  }
  // A context's id, then length and flags of each extent. One context, so that one chunk is the whole answer.
  const isWhole = (header.readUInt16BE(4) & 1) === 1 && header.readUInt16BE(6) === CHUNK_BLOCK_STATUS;
  if (!isWhole || bytes < 12 || bytes % 8 !== 4 || bytes > MAX_REPLY_BYTES) throw new Error('it gave no extents');
  const data = await readExactly(socket, bytes, TIMEOUT_MS);
  return Array.from({ length: (bytes - 4) / 8 }, (_, index) => ({
    length: data.readUInt32BE(4 + index * 8),
    flags: data.readUInt32BE(8 + index * 8),
  }));
}

function option(number: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT', 'latin1'), u32(number), u32(data.length), data]);
}

/** The offset is the cookie: no two questions have the same. */
function request(command: number, offset: number, length: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(command, 6);
  header.writeBigUInt64BE(BigInt(offset), 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(length, 24);
  return header;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([u32(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
