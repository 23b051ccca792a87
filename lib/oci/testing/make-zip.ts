// Zip archives for tests: entries deflated, no checksums, which no reader here asks for.
import { deflateRawSync } from 'node:zlib';
import { concatBytes, Writer } from '@ringwall/bytes';

export function makeZip(files: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory = new Writer();
  let offset = 0;
  for (const [path, content] of Object.entries(files)) {
    const name = new TextEncoder().encode(path);
    const plain = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const packed = deflateRawSync(plain);
    const local = new Writer().u32le(0x04034b50).u16le(20).u16le(0).u16le(8).u32le(0).u32le(0);
    local.u32le(packed.length).u32le(plain.length).u16le(name.length).u16le(0).bytes(name).bytes(packed);
    directory.u32le(0x02014b50).u16le(20).u16le(20).u16le(0).u16le(8).u32le(0).u32le(0);
    directory.u32le(packed.length).u32le(plain.length).u16le(name.length).u16le(0).u16le(0).u16le(0).u16le(0);
    directory.u32le(0).u32le(offset).bytes(name);
    const bytes = local.finish();
    parts.push(bytes);
    offset += bytes.length;
  }
  const central = directory.finish();
  const count = Object.keys(files).length;
  const end = new Writer().u32le(0x06054b50).u16le(0).u16le(0).u16le(count).u16le(count);
  end.u32le(central.length).u32le(offset).u16le(0);
  return concatBytes(...parts, central, end.finish());
}
