// TCB_VERSION of SEV-SNP: SEV Secure Nested Paging Firmware ABI Specification (AMD 56860), section 2.2. Eight bytes, each the
// security version of one part of the firmware; Turin moved them to make room for the FMC.
import { ParseError, toHex } from '@ringwall/bytes';

export const SNP_PRODUCTS = ['Milan', 'Genoa', 'Turin'] as const;
/** Genoa stands for Bergamo and Siena too: their certificates come from the same root. */
export type SnpProduct = (typeof SNP_PRODUCTS)[number];

export const TCB_BYTES = 8;

/** `fmc` is 0 before Turin, which has none. */
export interface SnpTcb {
  readonly fmc: number;
  readonly bootloader: number;
  readonly tee: number;
  readonly snp: number;
  readonly microcode: number;
}

export const TCB_PARTS = ['fmc', 'bootloader', 'tee', 'snp', 'microcode'] as const;

/** Where each part is; every other byte is reserved. */
const POSITIONS: Readonly<Record<SnpProduct, Readonly<Partial<SnpTcb>>>> = {
  Milan: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Genoa: { bootloader: 0, tee: 1, snp: 6, microcode: 7 },
  Turin: { fmc: 0, bootloader: 1, tee: 2, snp: 3, microcode: 7 },
};

/** Throws ParseError where a reserved byte is not zero: it could be a part that is not compared here. */
export function parseTcb(bytes: Uint8Array, product: SnpProduct, field: string): SnpTcb {
  const positions = POSITIONS[product];
  const used = Object.values(positions);
  if (bytes.length !== TCB_BYTES || bytes.some((byte, at) => byte !== 0 && !used.includes(at))) {
    throw new ParseError('unsupported', field, 0, `${toHex(bytes)} has reserved parts for ${product}, expected zeros`);
  }
  const part = (at: number | undefined): number => (at === undefined ? 0 : (bytes[at] ?? 0));
  return {
    fmc: part(positions.fmc),
    bootloader: part(positions.bootloader),
    tee: part(positions.tee),
    snp: part(positions.snp),
    microcode: part(positions.microcode),
  };
}

/** Whether no part of `tcb` is below that of `minimum`. There is no order between two that differ both ways. */
export function isTcbAtLeast(tcb: SnpTcb, minimum: SnpTcb): boolean {
  return TCB_PARTS.every((part) => tcb[part] >= minimum[part]);
}

export function tcbText(tcb: SnpTcb): string {
  return TCB_PARTS.map((part) => `${part} ${tcb[part]}`).join(', ');
}
