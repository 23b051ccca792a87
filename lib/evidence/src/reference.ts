// What a good boot measures, known before the first boot: the only thing that events of a log are compared with.
// Who says so is another question: signed-reference.ts.
import type { JsonValue } from './canonical-json.ts';
import { ClosedObject, type Refuse } from './json.ts';
import { EvidenceError } from './errors.ts';
import { PCR_COUNT } from './policy.ts';

/** OVMF with a direct kernel boot measures 24 events; a firmware with boot loader, shim and many devices about 150. */
export const MAX_EXPECTED_EVENTS = 512;
const MAX_NAME_CHARACTERS = 128;
const MAX_WHAT_CHARACTERS = 128;
/** A path, or a package with its version. */
const MAX_ORIGIN_CHARACTERS = 256;

/** One measurement that must be there, at this place among those of its PCR. */
export interface ExpectedEvent {
  readonly pcr: number;
  /** Name of the event type in the TCG PC Client Platform Firmware Profile: `EV_SEPARATOR`. */
  readonly type: string;
  /** SHA-256, lower-case hexadecimal. */
  readonly digest: string;
  /** What a person would call it: `kernel`, `command line`. */
  readonly what: string;
  /** The file whose content this is, where it is one. */
  readonly file?: string;
  /** The package that the file came from, with its version: `linux-image-6.1.0-18-cloud-amd64 6.1.76-1`. */
  readonly package?: string;
}

/** Something by name and by SHA-256, hexadecimal. */
export interface Artefact {
  readonly name: string;
  readonly digest: string;
}

export interface ReferenceValues {
  readonly version: 1;
  readonly image: Artefact;
  readonly firmware: Artefact;
  /** In the order of the log; only the order within one PCR counts. */
  readonly events: readonly ExpectedEvent[];
}

export const SHA256_HEX: RegExp = /^[0-9a-f]{64}$/;

/** Reference values from JSON or from a caller that might be wrong. Throws EvidenceError `reference-invalid`. */
export function parseReference(value: unknown): ReferenceValues {
  const object = new ClosedObject(value, 'reference', refuseReference);
  const reference: ReferenceValues = {
    version: object.oneOf('version', [1]),
    image: readArtefact(object.object('image')),
    firmware: readArtefact(object.object('firmware')),
    events: readExpectedEvents(object),
  };
  object.end();
  return reference;
}

export const refuseReference: Refuse = (message) => {
  throw new EvidenceError('reference-invalid', message);
};

export function readArtefact(object: ClosedObject): Artefact {
  const artefact = { name: object.string('name', MAX_NAME_CHARACTERS), digest: sha256Field(object, 'digest') };
  object.end();
  return artefact;
}

/** The member `events`: at least one, in the order of the log. */
export function readExpectedEvents(reference: ClosedObject): readonly ExpectedEvent[] {
  const events = reference.array('events', MAX_EXPECTED_EVENTS, (item, path) => {
    const object = reference.inner(item, path);
    const event: ExpectedEvent = {
      pcr: object.integer('pcr', 0, PCR_COUNT - 1),
      type: object.matching('type', /^EV_[A-Z0-9_]{1,60}$/, 'the name of an event type'),
      digest: sha256Field(object, 'digest'),
      what: object.string('what', MAX_WHAT_CHARACTERS),
      ...(object.has('file') ? { file: object.string('file', MAX_ORIGIN_CHARACTERS) } : {}),
      ...(object.has('package') ? { package: object.string('package', MAX_ORIGIN_CHARACTERS) } : {}),
    };
    object.end();
    return event;
  });
  if (events.length === 0) reference.refuse('events', 'expects nothing');
  return events;
}

/** With the keys that are read and no other: what is signed is all that there is. */
export function expectedEventJson(event: ExpectedEvent): { readonly [key: string]: JsonValue } {
  return {
    pcr: event.pcr,
    type: event.type,
    digest: event.digest,
    what: event.what,
    ...(event.file === undefined ? {} : { file: event.file }),
    ...(event.package === undefined ? {} : { package: event.package }),
  };
}

function sha256Field(object: ClosedObject, key: string): string {
  return object.matching(key, SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal');
}
