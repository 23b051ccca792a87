// For which machine an image is asked for: this one, unless somebody says another.
import { parsePlatform, type Platform } from '@ringwall/oci';
import type { Invocation } from '../invocation.ts';
import { reading } from './given.ts';

export function platformOf({ values }: Invocation): Platform {
  const wanted = values.get('platform');
  if (wanted !== undefined) return reading('--platform', () => parsePlatform(wanted));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  return { os: 'linux', architecture, variant: '' };
}
