// What a good boot measures, known before the first boot: the only thing that events of a log are compared with.
import { ClosedObject } from './json.ts';
import { EvidenceError } from './errors.ts';
import { PCR_COUNT } from './policy.ts';

/** OVMF with a direct kernel boot measures 24 events; a firmware with boot loader, shim and many devices about 150. */
export const MAX_EXPECTED_EVENTS = 512;
const MAX_NAME_CHARACTERS = 128;
const MAX_WHAT_CHARACTERS = 128;

/** One measurement that must be there, at this place among those of its PCR. */
export interface ExpectedEvent {
  readonly pcr: number;
  /** Name of the event type in the TCG PC Client Platform Firmware Profile: `EV_SEPARATOR`. */
  readonly type: string;
  /** SHA-256, lower-case hexadecimal. */
  readonly digest: string;
  /** What a person would call it: `kernel`, `command line`. */
  readonly what: string;
}

export interface ReferenceValues {
  readonly version: 1;
  readonly image: { readonly name: string; readonly digest: string };
  readonly firmware: { readonly name: string; readonly digest: string };
  /** In the order of the log; only the order within one PCR counts. */
  readonly events: readonly ExpectedEvent[];
}

export const SHA256_HEX: RegExp = /^[0-9a-f]{64}$/;

/** Reference values from JSON or from a caller that might be wrong. Throws EvidenceError `reference-invalid`. */
export function parseReference(value: unknown): ReferenceValues {
  const refuse = (message: string): never => {
    throw new EvidenceError('reference-invalid', message);
  };
  const named = (object: ClosedObject): { name: string; digest: string } => {
    const parsed = { name: object.string('name', MAX_NAME_CHARACTERS), digest: sha256Field(object, 'digest') };
    object.end();
    return parsed;
  };
  const event = (item: unknown, path: string): ExpectedEvent => {
    const object = new ClosedObject(item, path, refuse);
    const parsed: ExpectedEvent = {
      pcr: object.integer('pcr', 0, PCR_COUNT - 1),
      type: object.matching('type', /^EV_[A-Z0-9_]{1,60}$/, 'the name of an event type'),
      digest: sha256Field(object, 'digest'),
      what: object.string('what', MAX_WHAT_CHARACTERS),
    };
    object.end();
    return parsed;
  };
  const object = new ClosedObject(value, 'reference', refuse);
  const reference: ReferenceValues = {
    version: object.oneOf('version', [1]),
    image: named(object.object('image')),
    firmware: named(object.object('firmware')),
    events: object.array('events', MAX_EXPECTED_EVENTS, event),
  };
  object.end();
  if (reference.events.length === 0) refuse('reference.events expects nothing');
  return reference;
}

function sha256Field(object: ClosedObject, key: string): string {
  return object.matching(key, SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal');
}
