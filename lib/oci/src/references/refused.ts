// How a name is refused, and how text that somebody else wrote is shown in the message.
import { OciError } from '../oci-error.ts';

/** Enough to recognise a name by. */
const SHOWN_CHARACTERS = 80;

export function refused(message: string): OciError {
  return new OciError('reference', message);
}

/** Shortened, and without what a terminal would obey. */
export function shown(text: string): string {
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '�');
  return safe.length > SHOWN_CHARACTERS ? `${safe.slice(0, SHOWN_CHARACTERS)}…` : safe;
}
