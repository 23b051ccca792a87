// The text form of IMA's measurement list, `ascii_runtime_measurements` (ima_ascii_measurements_show() of ima_fs.c),
// turned into the binary form line by line, so that one replay judges both. The kernel writes `_` for a space in a path
// but leaves a line feed as it is: such a list cannot be read here and is refused, the binary one can.

import { concatBytes, fromHex, ParseError, utf8, Writer } from '@ringwall/bytes';
import {
  imaTemplate,
  MAX_IMA_PATH_BYTES,
  MAX_IMA_TEMPLATE_DATA_BYTES,
  MAX_IMA_TEMPLATE_NAME_BYTES,
  type ImaFieldId,
} from './ima-template.ts';

/** Two digits for a byte, and the names and spaces in front. */
export const MAX_IMA_LINE_BYTES: number = 2 * MAX_IMA_TEMPLATE_DATA_BYTES + MAX_IMA_PATH_BYTES;
const LINE_FEED = 0x0a;
/** Pieces of a line that wait for its end: few enough to be arguments of a call. */
const MAX_PARTS = 1024;

/** The binary entries of a text list, one for each line; throws `ParseError`. The last line must end too. */
export function* readImaText(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let waiting = 0;
  let offset = 0;
  for (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(LINE_FEED); to >= 0; to = chunk.indexOf(LINE_FEED, from)) {
      const line = concatBytes(...parts, chunk.subarray(from, to));
      yield parseImaLine(line, offset);
      offset += line.length + 1;
      from = to + 1;
      parts = [];
      waiting = 0;
    }
    waiting += chunk.length - from;
    if (waiting > MAX_IMA_LINE_BYTES) {
      throw new ParseError('limit', 'line', offset, `has ${waiting} bytes, expected at most ${MAX_IMA_LINE_BYTES}`);
    }
    if (from < chunk.length) parts.push(chunk.slice(from));
    if (parts.length >= MAX_PARTS) parts = [concatBytes(...parts)];
  }
  if (waiting > 0) throw new ParseError('truncated', 'line', offset, `has ${waiting} bytes and no end`);
}

/** One line without its line feed as one entry of the binary list. The template digest is not checked here. */
export function parseImaLine(line: Uint8Array, offset = 0): Uint8Array<ArrayBuffer> {
  if (line.length > MAX_IMA_LINE_BYTES) {
    throw new ParseError('limit', 'line', offset, `has ${line.length} bytes, expected at most ${MAX_IMA_LINE_BYTES}`);
  }
  // Latin-1 keeps each byte of a path as it is, UTF-8 or not.
  const [pcr = '', digest = '', template = '', ...fields] = decodeLatin1(line).replace(/^ /, '').split(' ');
  if (!/^\d{1,2}$/.test(pcr))
    throw new ParseError('invalid', 'pcr', offset, `${JSON.stringify(pcr)}, expected a number`);
  if (template.length > MAX_IMA_TEMPLATE_NAME_BYTES) {
    throw new ParseError('limit', 'template name', offset, `has ${template.length} bytes`);
  }
  const { fields: ids } = imaTemplate(template, offset);
  if (fields.length !== ids.length) {
    throw new ParseError('invalid', 'line', offset, `has ${fields.length} fields, expected ${ids.length}`);
  }
  const entry = new Writer().u32le(Number(pcr)).bytes(fromHex(digest, 'template digest'));
  entry.sized32le((name) => name.bytes(utf8(template)));
  const values = ids.map((id, index) => encodeField(id, fields[index] ?? '', offset));
  if (template === 'ima') {
    const [file = new Uint8Array(0), name = new Uint8Array(0)] = values;
    return entry
      .bytes(file)
      .sized32le((sized) => sized.bytes(name.subarray(0, -1)))
      .finish();
  }
  return entry
    .sized32le((data) => {
      for (const value of values) data.sized32le((sized) => sized.bytes(value));
    })
    .finish();
}

/** The bytes that the kernel printed as `text`, the ima_show_template_* functions of ima_template_lib.c. */
function encodeField(id: ImaFieldId, text: string, offset: number): Uint8Array {
  if (text === '') return new Uint8Array(0);
  if (id === 'd-ng' || id === 'd-ngv2' || id === 'd-modsig') {
    const colon = text.lastIndexOf(':');
    return concatBytes(encodeLatin1(text.slice(0, colon + 1)), Uint8Array.of(0), fromHex(text.slice(colon + 1), id));
  }
  if (id === 'n' || id === 'n-ng' || id === 'xattrnames') return concatBytes(encodeLatin1(text), Uint8Array.of(0));
  if (id === 'iuid' || id === 'igid') return new Writer().u32le(parseNumber(id, text, 0xffff_ffff, offset)).finish();
  if (id === 'imode') return new Writer().u16le(parseNumber(id, text, 0xffff, offset)).finish();
  return fromHex(text, id);
}

function parseNumber(id: ImaFieldId, text: string, maximum: number, offset: number): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > maximum) {
    throw new ParseError('invalid', id, offset, `${JSON.stringify(text)}, expected a number up to ${maximum}`);
  }
  return value;
}

/** Not TextDecoder, whose "latin1" is windows-1252. */
function decodeLatin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
