// EFI device paths as text: UEFI 2.10 section 10.3 for the nodes, 10.6 for how they are written. What has no text of its
// own is written as `Path(type,subtype,bytes)`, as the specification says.

import { Cursor, toHex } from '@ringwall/bytes';
import { readGuid, renderGuid, shown, shownUtf16 } from './event-text.ts';

/** A real path has some ten nodes; the bound is on the text. */
export const MAX_DEVICE_PATH_NODES = 256;
const NODE_HEADER_BYTES = 4;
const END = 0x7f;
const END_INSTANCE = 0x01;
const END_ENTIRE = 0xff;

/** EISA identifiers of ACPI nodes that have a name, section 10.6.1.6 table 10-67. */
const ACPI_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0a03, 'PciRoot'],
  [0x0a08, 'PcieRoot'],
  [0x0604, 'Floppy'],
  [0x0301, 'Keyboard'],
  [0x0501, 'Serial'],
  [0x0401, 'ParallelPort'],
]);
/** "PNP" in the compressed form of EISA. */
const EISA_PNP = 0x41d0;

/** A device path up to its end node; nothing may follow. Nothing at all is a path too, of no node. */
export function parseDevicePath(bytes: Uint8Array, offset: number): string {
  if (bytes.length === 0) return '';
  const cursor = new Cursor(bytes, offset);
  const text = readDevicePath(cursor);
  cursor.end('device path');
  return text;
}

/** Reads one device path, its end node included. Throws `ParseError`. */
export function readDevicePath(cursor: Cursor): string {
  let text = '';
  let separator = '';
  for (let nodes = 0; nodes < MAX_DEVICE_PATH_NODES; nodes += 1) {
    const type = cursor.u8('type');
    const subtype = cursor.u8('subtype');
    const length = cursor.u16le('length');
    if (length < NODE_HEADER_BYTES) throw cursor.error('invalid', 'length', `${length}, expected 4 or more`);
    const node = cursor.sub(length - NODE_HEADER_BYTES, 'node');
    if (type === END && subtype === END_ENTIRE) {
      node.end('end node');
      return text;
    }
    if (type === END && subtype === END_INSTANCE) separator = ',';
    else {
      text += separator + renderNode(type, subtype, node);
      separator = '/';
    }
  }
  throw cursor.error('limit', 'device path', `has ${MAX_DEVICE_PATH_NODES} nodes and more`);
}

function renderNode(type: number, subtype: number, node: Cursor): string {
  const render = NODES.get((type << 8) | subtype);
  if (render !== undefined) {
    const text = render(node);
    node.end('device path node');
    return text;
  }
  return `Path(${type},${subtype},${toHex(node.rest('node'))})`;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

/** By type and subtype. Each reads its node to the end. */
const NODES: ReadonlyMap<number, (node: Cursor) => string> = new Map<number, (node: Cursor) => string>([
  // Hardware, section 10.3.2: the function stands before the device.
  [0x0101, (node) => renderPci(node.u8('function'), node.u8('device'))],
  [0x0102, (node) => `PcCard(${hex(node.u8('function'))})`],
  [0x0103, (node) => `MemoryMapped(${hex(node.u32le('memoryType'))},${range(node)})`],
  [0x0104, (node) => renderVendor('VenHw', node)],
  [0x0105, (node) => `Ctrl(${hex(node.u32le('controller'))})`],
  [0x0106, (node) => `BMC(${hex(node.u8('interface'))},${hex(node.u64le('base'))})`],
  // ACPI, section 10.3.3.
  [0x0201, renderAcpi],
  [0x0202, renderAcpiEx],
  [0x0203, (node) => `AcpiAdr(${list(node, 4, (entry) => hex(entry.u32le('adr')))})`],
  // Messaging, section 10.3.4.
  [0x0301, renderAta],
  [0x0302, (node) => `Scsi(${hex(node.u16le('target'))},${hex(node.u16le('lun'))})`],
  [0x0303, (node) => renderFibre(node)],
  [0x0305, (node) => `USB(${hex(node.u8('port'))},${hex(node.u8('interface'))})`],
  [0x030a, (node) => renderVendor('VenMsg', node)],
  [0x030b, renderMac],
  [0x030c, renderIpv4],
  [0x030d, renderIpv6],
  [0x030e, renderUart],
  [0x030f, renderUsbClass],
  [0x0310, renderUsbWwid],
  [0x0311, (node) => `Unit(${hex(node.u8('lun'))})`],
  [0x0312, renderSata],
  [0x0314, (node) => `Vlan(${node.u16le('vlan')})`],
  [0x0317, (node) => `NVMe(${hex(node.u32le('namespace'))},${dashed(reversed(node.take(8, 'eui64')))})`],
  [0x0318, (node) => `Uri(${shownAscii(node.rest('uri'))})`],
  [0x0319, (node) => `UFS(${hex(node.u8('target'))},${hex(node.u8('lun'))})`],
  [0x031a, (node) => `SD(${hex(node.u8('slot'))})`],
  [0x031c, (node) => `Wi-Fi(${shownAscii(node.rest('ssid'))})`],
  [0x031d, (node) => `eMMC(${hex(node.u8('slot'))})`],
  [0x031f, renderDns],
  // Media, section 10.3.5.
  [0x0401, renderHardDrive],
  [0x0402, (node) => `CDROM(${hex(node.u32le('bootEntry'))},${hex(node.u64le('start'))},${hex(node.u64le('size'))})`],
  [0x0403, (node) => renderVendor('VenMedia', node)],
  [0x0404, (node) => shownUtf16(node.rest('pathName'))],
  [0x0405, (node) => `Media(${readGuid(node, 'protocol')})`],
  [0x0406, (node) => `FvFile(${readGuid(node, 'name')})`],
  [0x0407, (node) => `Fv(${readGuid(node, 'name')})`],
  [0x0408, (node) => `Offset(${skipped(node, 4)}${range(node)})`],
  [0x0409, renderRamDisk],
  // BIOS boot specification, section 10.3.6.
  [0x0501, renderBbs],
]);

function renderPci(functionNumber: number, device: number): string {
  return `Pci(${hex(device)},${hex(functionNumber)})`;
}

function range(node: Cursor): string {
  return `${hex(node.u64le('start'))},${hex(node.u64le('end'))}`;
}

function skipped(node: Cursor, bytes: number): string {
  node.skip(bytes, 'reserved');
  return '';
}

function renderVendor(name: string, node: Cursor): string {
  const guid = readGuid(node, 'vendor');
  const data = node.rest('vendorData');
  return data.length === 0 ? `${name}(${guid})` : `${name}(${guid},${toHex(data)})`;
}

function renderAcpi(node: Cursor): string {
  const hid = node.u32le('hid');
  const uid = node.u32le('uid');
  const name = (hid & 0xffff) === EISA_PNP ? ACPI_NAMES.get(hid >>> 16) : undefined;
  return name === undefined ? `Acpi(${eisa(hid)},${hex(uid)})` : `${name}(${hex(uid)})`;
}

function renderAcpiEx(node: Cursor): string {
  const [hid, uid, cid] = [node.u32le('hid'), node.u32le('uid'), node.u32le('cid')];
  const strings = shownAscii(node.rest('strings')).split('\ufffd');
  return `AcpiEx(${eisa(hid)},${eisa(cid)},${hex(uid)},${strings.slice(0, 3).join(',')})`;
}

/** Three letters of five bits each, then four digits. */
function eisa(id: number): string {
  const letter = (shift: number): string => String.fromCharCode(0x40 + ((id >>> shift) & 0x1f));
  return `${letter(10)}${letter(5)}${letter(0)}${(id >>> 16).toString(16).padStart(4, '0').toUpperCase()}`;
}

function renderAta(node: Cursor): string {
  const secondary = node.u8('primarySecondary') === 0 ? 'Primary' : 'Secondary';
  const slave = node.u8('slaveMaster') === 0 ? 'Master' : 'Slave';
  return `Ata(${secondary},${slave},${hex(node.u16le('lun'))})`;
}

function renderFibre(node: Cursor): string {
  node.skip(4, 'reserved');
  return `Fibre(${hex(node.u64le('wwn'))},${hex(node.u64le('lun'))})`;
}

function renderMac(node: Cursor): string {
  const address = node.take(32, 'address');
  const type = node.u8('interfaceType');
  // Ethernet addresses have six bytes; of other interfaces all are shown.
  return `MAC(${toHex(type <= 1 ? address.subarray(0, 6) : address)},${hex(type)})`;
}

function renderIpv4(node: Cursor): string {
  const local = node.take(4, 'local').join('.');
  const remote = node.take(4, 'remote').join('.');
  node.skip(4, 'ports');
  const protocol = node.u16le('protocol');
  const origin = node.u8('static') === 0 ? 'DHCP' : 'Static';
  const more = node.remaining === 0 ? '' : `,${node.take(4, 'gateway').join('.')},${node.take(4, 'mask').join('.')}`;
  return `IPv4(${remote},${hex(protocol)},${origin},${local}${more})`;
}

function renderIpv6(node: Cursor): string {
  const local = groups(node.take(16, 'local'));
  const remote = groups(node.take(16, 'remote'));
  node.skip(4, 'ports');
  const protocol = node.u16le('protocol');
  const origin = node.u8('origin');
  node.rest('prefix and gateway');
  return `IPv6(${remote},${hex(protocol)},${origin},${local})`;
}

function groups(bytes: Uint8Array): string {
  return toHex(bytes).replaceAll(/(.{4})(?=.)/g, '$1:');
}

function renderUart(node: Cursor): string {
  node.skip(4, 'reserved');
  const [baud, bits, parity, stop] = [node.u64le('baud'), node.u8('data'), node.u8('parity'), node.u8('stop')];
  return `Uart(${baud},${bits},${'DNEOMS'.charAt(parity)},${stop})`;
}

function renderUsbClass(node: Cursor): string {
  const ids = `${hex(node.u16le('vendor'))},${hex(node.u16le('product'))}`;
  return `UsbClass(${ids},${hex(node.u8('class'))},${hex(node.u8('subclass'))},${hex(node.u8('protocol'))})`;
}

function renderUsbWwid(node: Cursor): string {
  const [interfaceNumber, vendor, product] = [node.u16le('interface'), node.u16le('vendor'), node.u16le('product')];
  return `UsbWwid(${hex(vendor)},${hex(product)},${interfaceNumber},${shownUtf16(node.rest('serial'))})`;
}

function renderSata(node: Cursor): string {
  return `Sata(${hex(node.u16le('port'))},${hex(node.u16le('multiplier'))},${hex(node.u16le('lun'))})`;
}

function renderDns(node: Cursor): string {
  const ipv6 = node.u8('isIpv6') !== 0;
  // Each server is an EFI_IP_ADDRESS of 16 bytes, whichever it is.
  return `Dns(${list(node, 16, (entry) => {
    const address = entry.take(16, 'server');
    return ipv6 ? groups(address) : address.subarray(0, 4).join('.');
  })})`;
}

function renderHardDrive(node: Cursor): string {
  const partition = node.u32le('partition');
  const [start, size] = [node.u64le('start'), node.u64le('size')];
  const signature = node.take(16, 'signature');
  node.skip(1, 'format');
  const type = node.u8('signatureType');
  const named =
    type === 2
      ? `GPT,${renderGuid(signature)}`
      : type === 1
        ? `MBR,${hex(new Cursor(signature).u32le('signature'))}`
        : `${type},${toHex(signature)}`;
  return `HD(${partition},${named},${hex(start)},${hex(size)})`;
}

function renderRamDisk(node: Cursor): string {
  const where = range(node);
  const type = readGuid(node, 'type');
  return `RamDisk(${where},${node.u16le('instance')},${type})`;
}

function renderBbs(node: Cursor): string {
  const type = node.u16le('deviceType');
  const flag = node.u16le('statusFlag');
  return `BBS(${hex(type)},${shownAscii(node.rest('description')).replace(/\ufffd$/, '')},${hex(flag)})`;
}

function list(node: Cursor, bytes: number, render: (entry: Cursor) => string): string {
  const texts: string[] = [];
  while (node.remaining > 0) texts.push(render(node.sub(bytes, 'entry')));
  return texts.join(',');
}

function shownAscii(bytes: Uint8Array): string {
  return shown(new TextDecoder('latin1').decode(bytes));
}

function reversed(bytes: Uint8Array): Uint8Array {
  return bytes.toReversed();
}

function dashed(bytes: Uint8Array): string {
  return toHex(bytes).replaceAll(/(..)(?=.)/g, '$1-');
}
