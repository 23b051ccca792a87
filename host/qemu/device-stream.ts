// Takes the state of the TPM out of the devices of a machine, as QEMU's migration stream has them, so that other machines can go on from
// them each with a TPM of its own: QEMU leaves alone a TPM of which it finds nothing (tpm_emulator_set_state_blob), and it begins with what
// is in its own state directory. QEMU's migration/savevm.c and vmstate.c; backends/tpm/tpm_emulator.c.
//
// What a device has written cannot be told apart from what follows it, so the stream is walked from its end, where a description in JSON
// says how long each field of each device is. Contents are the guest's to choose, and all of it the VMM's: a name is never searched for, and
// what does not fit to the byte is refused. A VMM that lies here lies to another in a jail like its own.
import { Cursor, ParseError, Writer } from '@ringwall/bytes';
import { RingwallError } from '@ringwall/api';
import { isRecord } from './qmp.ts';

const END_OF_STATE = 0x00;
const SECTION_FULL = 0x04;
const DESCRIPTION = 0x06;
const SECTION_FOOTER = 0x7e;
const TPM = 'tpm-emulator';
/** Permanent, volatile, and what was saved at a shutdown: flags, length, bytes of each. */
const TPM_BLOBS = 3;
/** QEMU 7.2 describes a machine of ours in 120 KiB. */
const MAX_DESCRIPTION_BYTES: number = 4 * 2 ** 20;
/** A machine of ours has some 60. */
const MAX_DEVICES = 1_000;
/** Of subsections in subsections; QEMU's own devices have two. */
const MAX_DEPTH = 8;
/** Its length is one byte. */
const MAX_NAME_BYTES = 255;

/** Pure. Throws RingwallError `vmm-failed` for what is no state of a machine with a TPM. */
export function withoutTpm(stream: Uint8Array): Uint8Array {
  try {
    const { start, end } = findTpm(stream);
    parseTpm(new Cursor(stream.subarray(start, end), start));
    const nothing = new Writer();
    for (let blob = 0; blob < TPM_BLOBS; blob += 1) nothing.u32be(0).u32be(0);
    // The description at the end stays as it is: QEMU passes over it.
    return Buffer.concat([stream.subarray(0, start), nothing.finish(), stream.subarray(end)]);
  } catch (cause) {
    if (!(cause instanceof ParseError)) throw cause;
    throw new RingwallError('vmm-failed', `its devices are not as QEMU writes them: ${cause.message}`, { cause });
  }
}

/** Of a device's contents in the stream. */
interface Place {
  readonly start: number;
  readonly end: number;
}

/** Each device that is described is looked for where it must be, so that none is taken for another. */
function findTpm(stream: Uint8Array): Place {
  const { devices, endOfState } = readDescription(stream);
  let found: Place | undefined;
  let end = endOfState;
  for (const device of devices.toReversed()) {
    const { name, instance, bytes } = parseDevice(device);
    const footer = end - 5;
    const start = footer - bytes;
    const header = start - (14 + name.length);
    if (header < 0)
      throw new ParseError('truncated', name, 0, `has ${String(bytes)} bytes, and the stream is over before`);
    const id = readHeader(new Cursor(stream.subarray(header, start), header), name, instance);
    readFooter(new Cursor(stream.subarray(footer, end), footer), name, id);
    if (name === TPM) {
      if (found !== undefined) throw new ParseError('invalid', TPM, header, 'is there twice');
      found = { start, end: footer };
    }
    end = header;
  }
  if (found === undefined) throw new ParseError('invalid', TPM, endOfState, 'is not among them');
  return found;
}

/** The stream ends with the end of the state, a byte, the length of the description, and the description: text, with no such byte. */
function readDescription(stream: Uint8Array): { readonly devices: readonly unknown[]; readonly endOfState: number } {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const first = Math.max(2, stream.length - 4 - MAX_DESCRIPTION_BYTES);
  for (let at = stream.length - 4; at >= first; at -= 1) {
    if (stream[at - 1] !== DESCRIPTION || stream[at - 2] !== END_OF_STATE) continue;
    if (view.getUint32(at) !== stream.length - at - 4) continue;
    return { devices: parseDescription(stream.subarray(at + 4), at + 4), endOfState: at - 2 };
  }
  throw new ParseError('invalid', 'description', stream.length, 'is not at the end');
}

function parseDescription(bytes: Uint8Array, offset: number): readonly unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new ParseError('invalid', 'description', offset, 'is no JSON');
  }
  const devices: unknown = isRecord(value) ? value['devices'] : undefined;
  if (!Array.isArray(devices)) throw new ParseError('invalid', 'description', offset, 'names no devices');
  if (devices.length > MAX_DEVICES)
    throw new ParseError('limit', 'description', offset, `names ${String(devices.length)}`);
  return devices;
}

function parseDevice(device: unknown): { readonly name: string; readonly instance: number; readonly bytes: number } {
  const { name, instance_id: instance }: Record<string, unknown> = isRecord(device) ? device : {};
  if (!isName(name) || !isCount(instance))
    throw new ParseError('invalid', 'description', 0, 'names a device by nothing');
  return { name, instance, bytes: contentBytes(device, name) };
}

/** What its fields take, and behind them its subsections, each behind its own header. */
function contentBytes(part: unknown, device: string, depth = 0): number {
  const { fields, subsections = [] }: Record<string, unknown> = isRecord(part) ? part : {};
  if (!Array.isArray(fields) || !Array.isArray(subsections) || depth > MAX_DEPTH) {
    throw new ParseError('invalid', device, 0, 'is described without fields');
  }
  let bytes = 0;
  for (const field of fields) bytes += fieldBytes(field, device);
  for (const subsection of subsections as readonly unknown[]) {
    const name: unknown = isRecord(subsection) ? subsection['vmsd_name'] : undefined;
    if (!isName(name)) throw new ParseError('invalid', device, 0, 'has a subsection without a name');
    bytes += 6 + name.length + contentBytes(subsection, device, depth + 1);
  }
  return bytes;
}

/** Of an array whose elements are alike, the first is described, and how many there are. */
function fieldBytes(field: unknown, device: string): number {
  const { size, array_len: count = 1 }: Record<string, unknown> = isRecord(field) ? field : {};
  if (!isCount(size) || !isCount(count)) throw new ParseError('invalid', device, 0, 'has a field without a size');
  return size * count;
}

/** Gives its number in this stream. */
function readHeader(cursor: Cursor, name: string, instance: number): number {
  const type = cursor.u8('section');
  const id = cursor.u32be('section');
  const length = cursor.u8('section');
  const said = length === name.length ? Buffer.from(cursor.take(length, 'section')).toString('latin1') : undefined;
  if (type !== SECTION_FULL || said !== name || cursor.u32be('instance') !== instance) {
    throw cursor.error('invalid', name, 'is not where its description has it');
  }
  cursor.u32be('version');
  cursor.end('section');
  return id;
}

function readFooter(cursor: Cursor, name: string, id: number): void {
  if (cursor.u8('footer') !== SECTION_FOOTER || cursor.u32be('footer') !== id) {
    throw cursor.error('invalid', name, 'does not end where its description has it');
  }
  cursor.end('footer');
}

function parseTpm(cursor: Cursor): void {
  for (let blob = 0; blob < TPM_BLOBS; blob += 1) {
    cursor.u32be('flags');
    cursor.skip(cursor.u32be('length'), TPM);
  }
  cursor.end(TPM);
}

/** As QEMU's own: its length in bytes is that in characters. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_NAME_BYTES && /^[\x20-\x7e]+$/.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 32;
}
