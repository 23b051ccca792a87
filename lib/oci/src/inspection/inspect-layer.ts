// One pass over a layer: its archive goes through chunk by chunk, each inspector gets the bytes that it asks for, and what is
// left is a list of entries and of facts. Whoever made the image controls every byte.
import { ParseError } from '@ringwall/bytes';
import type { TarEntry } from '../layers/tar-entry.ts';
import { openTarReader, type ContentSink } from '../layers/tar-reader.ts';
import { OciError } from '../oci-error.ts';
import { LARGE_FILE_BYTES, openBudget, type InspectionBudget } from './inspection-budget.ts';
import type { Fact, Inspector, InspectorRoom } from './inspector.ts';

/** What inspectors get of one file: package databases of a whole distribution have some 50 MiB. */
export const MAX_INSPECTED_BYTES: number = 64 * 1024 ** 2;
/** Most files are smaller. */
const BUFFER_BYTES: number = 64 * 1024;
/** Of an entry, beside its path, target and attributes. */
const ENTRY_CHARACTERS = 60;
/** Of a fact, beside its path and its value, and how often its value counts. */
const FACT_CHARACTERS = 200;
const FACT_WEIGHT = 3;

/** What is kept of a layer. */
export interface LayerContents {
  /** In the order of the archive, whiteouts too. */
  readonly entries: readonly TarEntry[];
  readonly facts: readonly Fact[];
}

export interface LayerInspection {
  /** Chunks of the uncompressed archive, of any size, in order. Throws OciError. */
  readonly push: (chunk: Uint8Array) => void;
  /** Throws OciError where the archive is not over. */
  readonly end: () => LayerContents;
}

/** For entries that come from elsewhere than an archive. */
export interface EntryInspection {
  /** What it gives back takes the contents, until the next entry. Throws OciError. */
  readonly entry: (entry: TarEntry) => ContentSink | undefined;
  readonly end: () => LayerContents;
}

export function openLayerInspection(
  inspectors: readonly Inspector[],
  budget: InspectionBudget = openBudget(),
): LayerInspection {
  let last = '';
  const inspection = openEntryInspection(inspectors, budget);
  const reader = openTarReader({
    entry: (entry) => {
      last = entry.path;
      return inspection.entry(entry);
    },
  });
  const naming = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      const code = error.code === 'limit' ? 'limit' : 'malformed';
      const place = last === '' ? '' : `, after “${last}”`;
      throw new OciError(code, `its archive, at byte ${error.offset}${place}: ${error.message}`, { cause: error });
    }
  };
  return {
    push: (chunk) => naming(() => reader.push(chunk)),
    end: () => {
      naming(() => reader.end());
      return inspection.end();
    },
  };
}

export function openEntryInspection(
  inspectors: readonly Inspector[],
  budget: InspectionBudget = openBudget(),
): EntryInspection {
  const entries: TarEntry[] = [];
  const facts: Fact[] = [];
  let buffer = new Uint8Array(BUFFER_BYTES);
  let isLarge = false;
  let filled = 0;
  let wanted = 0;
  let current: TarEntry | undefined;
  const asking: { readonly inspector: Inspector; readonly bytes: number }[] = [];

  const becomeLarge = (): void => {
    if (isLarge) return;
    budget.enterLarge();
    isLarge = true;
  };
  const room: InspectorRoom = { holdLarge: becomeLarge, unpack: budget.unpack };

  const finish = (content: Uint8Array): void => {
    if (current === undefined) return;
    for (const { inspector, bytes } of asking) {
      for (const value of inspect(inspector, current, content.subarray(0, bytes), room)) {
        const fact = { inspector: inspector.id, path: current.path, value };
        budget.keep(0, charactersOfFact(fact));
        facts.push(fact);
      }
    }
    current = undefined;
    if (!isLarge) return;
    isLarge = false;
    // Given back at once, not when garbage is next collected.
    buffer.buffer.transfer(0);
    buffer = new Uint8Array(BUFFER_BYTES);
    budget.leaveLarge();
  };
  const take = (chunk: Uint8Array): void => {
    const part = chunk.length > wanted - filled ? chunk.subarray(0, wanted - filled) : chunk;
    // Small files lie whole in a chunk: those are looked at where they are.
    if (filled === 0 && part.length === wanted) {
      finish(part);
      return;
    }
    if (buffer.length < wanted) {
      if (wanted > LARGE_FILE_BYTES) becomeLarge();
      buffer = new Uint8Array(wanted);
    }
    buffer.set(part, filled);
    filled += part.length;
  };
  return {
    entry: (entry) => {
      finish(buffer.subarray(0, filled));
      budget.keep(1, charactersOf(entry));
      entries.push(entry);
      filled = 0;
      wanted = 0;
      asking.length = 0;
      for (const inspector of inspectors) {
        const asked = inspector.wants(entry);
        if (asked === undefined) continue;
        const bytes = Math.min(asked, MAX_INSPECTED_BYTES);
        asking.push({ inspector, bytes });
        wanted = Math.max(wanted, bytes);
      }
      if (asking.length > 0) current = entry;
      if (wanted === 0) return undefined;
      // A hard link may have contents, and says no length.
      if (entry.type === 'file') wanted = Math.min(wanted, entry.bytes);
      return { bytes: wanted, take };
    },
    end: () => {
      finish(buffer.subarray(0, filled));
      return { entries, facts };
    },
  };
}

/** An inspector that fails on what an attacker wrote must not let the image pass. */
function inspect(
  inspector: Inspector,
  entry: TarEntry,
  bytes: Uint8Array,
  room: InspectorRoom,
): readonly Fact['value'][] {
  try {
    return inspector.inspect(entry, bytes, room);
  } catch (cause) {
    if (cause instanceof OciError) throw new OciError(cause.code, `“${entry.path}”: ${cause.message}`, { cause });
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new OciError('malformed', `inspector ${inspector.id} at “${entry.path}”: ${message}`, { cause });
  }
}

/** What was kept of a layer counts like what is read of one. Throws OciError `limit`. */
export function countContents({ entries, facts }: LayerContents, budget: InspectionBudget): void {
  for (const entry of entries) budget.keep(1, charactersOf(entry));
  for (const fact of facts) budget.keep(0, charactersOfFact(fact));
}

/** As objects they take some times what they have as text. */
function charactersOfFact({ path, value }: Fact): number {
  return FACT_CHARACTERS + path.length + FACT_WEIGHT * JSON.stringify(value).length;
}

function charactersOf({ path, target, userName, groupName, attributes }: TarEntry): number {
  let characters = ENTRY_CHARACTERS + path.length + target.length + userName.length + groupName.length;
  for (const [key, value] of attributes) characters += key.length + value.length;
  return characters;
}
