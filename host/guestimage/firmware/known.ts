// Made by tools/firmware-manifest.ts: the builds of OVMF that Ringwall knows, one file for each.
import entry0 from './ovmf-2022.11-6-deb12u2.json' with { type: 'json' };

export const KNOWN_FIRMWARE = [entry0] as const;
