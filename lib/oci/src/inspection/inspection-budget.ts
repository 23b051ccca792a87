// What the layers of an image may take together, while several of them are read at once: a judgement must do with 512 MB, and whoever
// made the image says how many files it has and how long their names are.
import { OciError } from '../oci-error.ts';

/** Each takes about a kilobyte until the image is judged. Images of desktops have 300,000. */
export const MAX_FILES_OF_AN_IMAGE = 350_000;
/** Of entries and of facts, as text: 300,000 files have some 35 MiB. */
export const MAX_CHARACTERS_OF_AN_IMAGE: number = 48 * 1024 ** 2;
/** A file of which inspectors get more, such as the package database of a whole distribution, is gathered by one thread at a time. */
export const LARGE_FILE_BYTES: number = 4 * 1024 ** 2;

/** Of archives within files, such as those of Java: the largest applications have some 2 GiB, and it is gone through at 100 MB a second. */
export const MAX_UNPACKED_OF_AN_IMAGE: number = 8 * 1024 ** 3;

export interface InspectionBudget {
  /** Told of each entry and each fact before it is kept. Throws OciError `limit`. */
  readonly keep: (files: number, characters: number) => void;
  /** Before what is large is held, and when it is held no more; in pairs. May wait. */
  readonly enterLarge: () => void;
  readonly leaveLarge: () => void;
  /** Told of what is unpacked of archives within files, before it is. Throws OciError `limit`. */
  readonly unpack: (bytes: number) => void;
}

/** Throws OciError `limit`. */
export function checkBudget(files: number, characters: number): void {
  if (files > MAX_FILES_OF_AN_IMAGE) throw new OciError('limit', `image has more than ${MAX_FILES_OF_AN_IMAGE} files`);
  if (characters > MAX_CHARACTERS_OF_AN_IMAGE)
    throw new OciError(
      'limit',
      `what is to be kept of the image has more than ${MAX_CHARACTERS_OF_AN_IMAGE} characters`,
    );
}

/** Throws OciError `limit`. */
export function checkUnpacked(bytes: number): void {
  if (bytes > MAX_UNPACKED_OF_AN_IMAGE)
    throw new OciError('limit', `archives in the image unpack to more than ${MAX_UNPACKED_OF_AN_IMAGE} bytes`);
}

/** For whoever reads one layer after the other. */
export function openBudget(): InspectionBudget {
  let [allFiles, allCharacters, allUnpacked] = [0, 0, 0];
  return {
    keep: (files, characters) => {
      allFiles += files;
      allCharacters += characters;
      checkBudget(allFiles, allCharacters);
    },
    enterLarge: () => undefined,
    leaveLarge: () => undefined,
    unpack: (bytes) => {
      allUnpacked += bytes;
      checkUnpacked(allUnpacked);
    },
  };
}
