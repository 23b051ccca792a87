// UEFI structures as firmware logs them, for tests: variables, device paths, load options, signature lists.

import { concatBytes, fromHex, utf8, Writer } from '@ringwall/bytes';

export const GLOBAL = '61dfe48bca93d211aa0d00e098032b8c';
export const SECURITY_DATABASE = 'cbb219d73a3d9645a3bcdad00e67656f';
export const SHIM_LOCK = '50ab5d6046e00043abb63dd810dd8b23';
export const END_NODE: Uint8Array = Uint8Array.of(0x7f, 0xff, 4, 0);

export function utf16(text: string): Uint8Array {
  const writer = new Writer();
  for (let index = 0; index < text.length; index += 1) writer.u16le(text.charCodeAt(index));
  return writer.finish();
}

/** UEFI_VARIABLE_DATA. */
export function uefiVariable(name: string, data: Uint8Array, guid: string = GLOBAL): Uint8Array {
  const lengths = new Writer().u64le(BigInt(name.length)).u64le(BigInt(data.length)).finish();
  return concatBytes(fromHex(guid), lengths, utf16(name), data);
}

export function pathNode(type: number, subtype: number, data: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(type, subtype), new Writer().u16le(data.length + 4).finish(), data);
}

export function fileNode(path: string): Uint8Array {
  return pathNode(4, 4, utf16(`${path}\0`));
}

/** UEFI_IMAGE_LOAD_EVENT. */
export function imageLoad(path: Uint8Array): Uint8Array {
  const head = new Writer().u64le(0x1000n).u64le(0x2000n).u64le(0n).u64le(BigInt(path.length));
  return head.bytes(path).finish();
}

export function loadOption(description: string, path: Uint8Array, optional: string = ''): Uint8Array {
  const head = new Writer()
    .u32le(1)
    .u16le(path.length)
    .bytes(utf16(`${description}\0`))
    .bytes(path);
  return head.bytes(utf8(optional)).finish();
}

/** EFI_SIGNATURE_LIST of one size; `type` as on the wire. */
export function signatureList(type: string, ...signatures: readonly Uint8Array[]): Uint8Array {
  const size = 16 + (signatures[0]?.length ?? 32);
  const head = new Writer()
    .bytes(fromHex(type))
    .u32le(28 + size * signatures.length)
    .u32le(0)
    .u32le(size);
  for (const signature of signatures) head.bytes(new Uint8Array(16).fill(7)).bytes(signature);
  return head.finish();
}

export const CERT_SHA256 = '2616c4c14c509240aca941f936934328';
export const CERT_X509 = 'a159c0a5e494a74a87b5ab155c2bf072';

/** UEFI_GPT_DATA of one partition; `guid` names disk, type and partition. */
export function partitionTable(guid: Uint8Array, entryBytes: number = 128): Uint8Array {
  const header = new Writer().bytes(utf8('EFI PART')).u32le(0x1_0000).u32le(92).bytes(new Uint8Array(40)).bytes(guid);
  header.bytes(new Uint8Array(12)).u32le(entryBytes).u32le(0);
  const partition = new Writer().bytes(guid).bytes(guid).u64le(34n).u64le(99n).u64le(0n);
  const name = utf16('EFI system partition');
  partition.bytes(name).bytes(new Uint8Array(72 - name.length));
  return header.u64le(1n).bytes(partition.finish()).finish();
}

/** Aggregations of Windows, each within the one before. */
export function nestedTags(depth: number): Uint8Array {
  let data: Uint8Array = new Uint8Array(0);
  for (let level = 0; level < depth; level += 1) {
    const inner = data;
    data = new Writer()
      .u32le(0x4001_0001)
      .sized32le((sizedInner) => sizedInner.bytes(inner))
      .finish();
  }
  return data;
}
