// Reference values and policies as the broker's store holds them, in text. Every boot of an image is judged by the same ones,
// and reading them anew, with their signature to verify again, costs more than the rest of a judgement.
import { BoundedMap } from '@ringwall/bytes';
import {
  decodeHostReference,
  decodeReference,
  parsePolicy,
  type HostReference,
  type Policy,
  type SignedReference,
} from '@ringwall/evidence';

/** Of the images of a host, each for the few sizes that its machines have; one has some 10 KiB. */
const MAX_READ = 64;
const REFERENCES = new BoundedMap<string, SignedReference>(MAX_READ);
const HOST_REFERENCES = new BoundedMap<string, HostReference>(MAX_READ);
const POLICIES = new BoundedMap<string, Policy>(MAX_READ);

/** What the parser makes of a text is frozen: whoever gets it cannot change it for the next. Throws EvidenceError. */
export function storedReference(text: string): SignedReference {
  return known(REFERENCES, text, decodeReference);
}

/** As `storedReference`. */
export function storedHostReference(text: string): HostReference {
  return known(HOST_REFERENCES, text, decodeHostReference);
}

/** As `storedReference`. */
export function storedPolicy(text: string): Policy {
  return known(POLICIES, text, (json) => parsePolicy(JSON.parse(json)));
}

function known<T>(read: BoundedMap<string, T>, text: string, parse: (text: string) => T): T {
  const before = read.get(text);
  if (before !== undefined) return before;
  const value = parse(text);
  read.set(text, value);
  return value;
}
