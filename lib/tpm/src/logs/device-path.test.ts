import { concatBytes, fromHex, ParseError, utf8, Writer } from '@ringwall/bytes';
import { describe, expect, test } from 'vitest';
import { END_NODE, fileNode, pathNode, utf16 } from '../../testing/uefi.ts';
import { parseDevicePath } from './device-path.ts';

const GUID = fromHex('33221100554477668899aabbccddeeff');
const GUID_TEXT = '00112233-4455-6677-8899-aabbccddeeff';
const hardDrive = (type: number): Uint8Array =>
  new Writer().u32le(15).u64le(0x2800n).u64le(0x3_5000n).bytes(GUID).u8(2).u8(type).finish();

const text = (...nodes: readonly Uint8Array[]): string => parseDevicePath(concatBytes(...nodes, END_NODE), 0);

describe('parseDevicePath() writes nodes as UEFI 2.10 section 10.6 does', () => {
  test.each<[string, Uint8Array]>([
    ['Pci(0x1f,0x2)', pathNode(1, 1, Uint8Array.of(2, 0x1f))],
    ['PcCard(0x1)', pathNode(1, 2, Uint8Array.of(1))],
    ['MemoryMapped(0xb,0x1000,0x1fff)', pathNode(1, 3, new Writer().u32le(11).u64le(0x1000n).u64le(0x1fffn).finish())],
    [`VenHw(${GUID_TEXT},0102)`, pathNode(1, 4, concatBytes(GUID, Uint8Array.of(1, 2)))],
    ['PciRoot(0x2)', pathNode(2, 1, fromHex('d041030a02000000'))],
    ['PcieRoot(0x0)', pathNode(2, 1, fromHex('d041080a00000000'))],
    ['Acpi(PNP0C0F,0x0)', pathNode(2, 1, fromHex('d0410f0c00000000'))],
    ['AcpiAdr(0x80010100)', pathNode(2, 3, fromHex('00010180'))],
    ['Ata(Secondary,Master,0x0)', pathNode(3, 1, Uint8Array.of(1, 0, 0, 0))],
    ['Scsi(0x1,0x0)', pathNode(3, 2, Uint8Array.of(1, 0, 0, 0))],
    ['USB(0xb,0x0)', pathNode(3, 5, Uint8Array.of(11, 0))],
    [
      'MAC(0cc47aff601c,0x1)',
      pathNode(3, 11, concatBytes(fromHex('0cc47aff601c'), new Uint8Array(26), Uint8Array.of(1))),
    ],
    [
      'IPv4(10.0.0.1,0x11,DHCP,10.0.0.2)',
      pathNode(3, 12, concatBytes(Uint8Array.of(10, 0, 0, 2, 10, 0, 0, 1), new Uint8Array(4), Uint8Array.of(17, 0, 0))),
    ],
    ['Uart(115200,8,N,1)', pathNode(3, 14, new Writer().u32le(0).u64le(115_200n).u8(8).u8(1).u8(1).finish())],
    ['Sata(0x0,0xffff,0x0)', pathNode(3, 18, fromHex('0000ffff0000'))],
    ['NVMe(0x1,00-11-22-33-44-55-66-77)', pathNode(3, 23, fromHex('010000007766554433221100'))],
    ['Uri(https://boot)', pathNode(3, 24, utf8('https://boot'))],
    [`HD(15,GPT,${GUID_TEXT},0x2800,0x35000)`, pathNode(4, 1, hardDrive(2))],
    ['HD(15,MBR,0x112233,0x2800,0x35000)', pathNode(4, 1, hardDrive(1))],
    ['CDROM(0x0,0x10,0x20)', pathNode(4, 2, new Writer().u32le(0).u64le(16n).u64le(32n).finish())],
    ['\\EFI\\BOOT\\BOOTX64.EFI', fileNode('\\EFI\\BOOT\\BOOTX64.EFI')],
    [`FvFile(${GUID_TEXT})`, pathNode(4, 6, GUID)],
    [`Fv(${GUID_TEXT})`, pathNode(4, 7, GUID)],
    ['Offset(0x15c00,0x47fff)', pathNode(4, 8, new Writer().u32le(0).u64le(0x1_5c00n).u64le(0x4_7fffn).finish())],
    [`RamDisk(0x1,0x2,3,${GUID_TEXT})`, pathNode(4, 9, new Writer().u64le(1n).u64le(2n).bytes(GUID).u16le(3).finish())],
    ['BBS(0x2,Disk,0x0)', pathNode(5, 1, concatBytes(Uint8Array.of(2, 0, 0, 0), utf8('Disk\0')))],
    ['UsbWwid(0x1,0x2,0,serial)', pathNode(3, 16, concatBytes(fromHex('000001000200'), utf16('serial')))],
    ['Dns(1.1.1.1)', pathNode(3, 31, concatBytes(Uint8Array.of(0, 1, 1, 1, 1), new Uint8Array(12)))],
    ['Path(3,99,0a0b)', pathNode(3, 99, Uint8Array.of(10, 11))],
  ])('%s', (expected, node) => {
    expect(text(node)).toBe(expected);
  });

  test('nodes are joined by slashes, instances by commas', () => {
    const instance = Uint8Array.of(0x7f, 1, 4, 0);
    expect(text(pathNode(1, 1, Uint8Array.of(0, 1)), fileNode('\\a'), instance, fileNode('\\b'))).toBe(
      'Pci(0x1,0x0)/\\a,\\b',
    );
  });

  test.each<[string, Uint8Array]>([
    ['a node that is too short for its type', pathNode(1, 1, Uint8Array.of(1))],
    ['a node that is too long for its type', pathNode(1, 1, Uint8Array.of(1, 2, 3))],
    ['an end node with data', concatBytes(Uint8Array.of(0x7f, 0xff, 5, 0), Uint8Array.of(0))],
  ])('refuses %s', (_, node) => {
    expect(() => text(node)).toThrow(ParseError);
  });

  test('refuses bytes behind the end node', () => {
    expect(() => parseDevicePath(concatBytes(END_NODE, END_NODE), 0)).toThrow('device path has 4 bytes after its end');
  });
});
