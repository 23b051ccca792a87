// Every command as data: parsing, help and shell completion are made from this table, and from nothing else.
import type { Command } from './command.ts';
import { DISK_AND_IMAGE_COMMANDS } from './groups/disks-and-images.ts';
import { EVIDENCE_COMMANDS } from './groups/evidence.ts';
import { HOST_COMMANDS } from './groups/host.ts';
import { MACHINE_COMMANDS } from './groups/machines.ts';
import { MORE_COMMANDS } from './groups/more.ts';
import { NETWORK_COMMANDS } from './groups/networks.ts';
import { SEALED_COMMANDS } from './groups/sealed-files.ts';

export const COMMANDS: readonly Command[] = [
  ...MACHINE_COMMANDS,
  ...NETWORK_COMMANDS,
  ...EVIDENCE_COMMANDS,
  ...DISK_AND_IMAGE_COMMANDS,
  ...SEALED_COMMANDS,
  ...HOST_COMMANDS,
  ...MORE_COMMANDS,
];

export function findCommand(name: string): Command | undefined {
  return COMMANDS.find((command) => command.name === name);
}
