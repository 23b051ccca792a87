// The system of the `debian` image.
import { RingwallError } from '@ringwall/api';
import type { SystemContext } from './build.ts';
import type { ImageSource } from './manifest.ts';

export function debianSystem(_image: string, _context: SystemContext): Promise<readonly ImageSource[]> {
  throw new RingwallError('image-failed', 'not yet');
}
