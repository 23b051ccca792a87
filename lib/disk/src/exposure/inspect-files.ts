// Walks a file system once and says what a thief would find in it. Bounded whatever the disk says: damaged directories are
// named and passed over, loops are walked once.
import { ParseError } from '@ringwall/bytes';
import { DiskError } from '../disk-error.ts';
import type { DirectoryEntry, FileNode, FileSystem } from '../filesystems/file-system.ts';
import { parseAccounts, type Account } from './accounts.ts';
import { FileContent } from './file-content.ts';
import { recogniseSystem, type OperatingSystem, type ReadText } from './operating-system.ts';
import { indexPaths, type PathIndex } from './path-pattern.ts';
import type { ExposureRule } from './rule.ts';
import { EXPOSURE_RULES } from './rules/index.ts';

/** A large mail server has some millions. Beyond, the rest is not looked at, and the report says so. */
export const MAX_ENTRIES = 5_000_000;
/** Each is remembered, so that none is walked twice: 40 MB at this many. */
const MAX_DIRECTORIES = 1_000_000;
/** Longer than any path that a system can open (PATH_MAX). */
const MAX_PATH_CHARACTERS = 4096;
/** Of all paths that a report lists: some hundred thousand usual ones. */
const MAX_LISTED_CHARACTERS = 4 * 2 ** 20;
/** Of one rule: what a thief would find is clear by then. The others are counted. */
const MAX_FINDS_OF_A_RULE = 200;
const MAX_DAMAGES = 100;
const MAX_DELETED_FILES = 10_000;
const MAX_PASSWD_BYTES = 8 * 1024 * 1024;

export interface ExposureFind {
  readonly rule: ExposureRule;
  /** From the root of its file system; of a deleted file without a name, its number. */
  readonly path: string;
  readonly bytes: number;
  /** Kinds and counts; no part of the secret. '' where the name alone says it. */
  readonly detail: string;
  readonly worth: number;
  readonly deleted: boolean;
  /** The permission bits let every account of the system read it. */
  readonly readableByAll: boolean;
}

export interface FilesReport {
  readonly system: OperatingSystem | undefined;
  readonly accounts: readonly Account[];
  readonly finds: readonly ExposureFind[];
  /** Finds beyond those listed, by rule. */
  readonly more: ReadonlyMap<string, number>;
  readonly files: number;
  readonly directories: number;
  /** What could not be read, and why. */
  readonly damages: readonly { readonly path: string; readonly message: string }[];
  /** The walk ended at a limit: there is more. */
  readonly incomplete: boolean;
}

export interface InspectOptions {
  readonly rules?: readonly ExposureRule[];
  /** Follows links inside the file system; undefined where there is no such file. */
  readonly readText: ReadText;
}

export function inspectFiles(fs: FileSystem, { rules = EXPOSURE_RULES, readText }: InspectOptions): FilesReport {
  const passwd = readText('/etc/passwd', MAX_PASSWD_BYTES);
  const accounts = passwd === undefined ? [] : parseAccounts(passwd, readText('/etc/shadow', MAX_PASSWD_BYTES));
  const homes = new Set(accounts.map(({ home }) => home).filter((home) => home.length > 1));
  const index = indexPaths(rules, { ignoreCase: ignoresCase(fs), homes: [...homes] });
  const walk = new Walk(index);
  walk.from(fs.root);
  walk.deleted(
    fs,
    rules.filter(({ byContentAlone }) => byContentAlone === true),
  );
  const { finds, more, files, directories, damages, incomplete } = walk;
  return { system: recogniseSystem(fs, readText), accounts, finds, more, files, directories, damages, incomplete };
}

interface OpenDirectory {
  readonly entries: Iterator<DirectoryEntry>;
  readonly pathCharacters: number;
}

class Walk {
  readonly finds: ExposureFind[] = [];
  readonly more = new Map<string, number>();
  readonly damages: { path: string; message: string }[] = [];
  files = 0;
  directories = 0;
  incomplete = false;
  readonly #index: PathIndex<ExposureRule>;
  readonly #seen = new Set<number>();
  readonly #counts = new Map<string, number>();
  /** The names of the directories that are open, and of what is looked at: one list for all, since a path may be long. */
  readonly #names: string[] = [];
  #entries = 0;
  #listedCharacters = 0;

  constructor(index: PathIndex<ExposureRule>) {
    this.#index = index;
  }

  /** Depth first, with the entries of each open directory read as they are needed: memory grows with depth alone. */
  from(root: FileNode): void {
    const open: OpenDirectory[] = [];
    this.#enter(open, root);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const { entries } = top;
      const step = this.#guarded(this.#names, () => entries.next());
      if (step === undefined || step.done === true) {
        open.pop();
        this.#names.pop();
        continue;
      }
      this.#entries += 1;
      if (this.#entries > MAX_ENTRIES) {
        this.incomplete = true;
        return;
      }
      const entry = step.value;
      this.#names.push(entry.name);
      // The name of a directory that is open now stays until its last entry was seen.
      if (!this.#look(entry, open)) this.#names.pop();
    }
  }

  /** Whether it is a directory, and open. */
  #look(entry: DirectoryEntry, open: OpenDirectory[]): boolean {
    if (entry.kind !== 'directory') return this.#file(entry, open);
    const directory = this.#guarded(this.#names, () => entry.node());
    return directory !== undefined && this.#enter(open, directory);
  }

  /** Names first, where any are left; else the rules that know contents. */
  deleted(fs: FileSystem, byContent: readonly ExposureRule[]): void {
    let count = 0;
    this.#guarded(['deleted files'], () => {
      for (const { name, node } of fs.deletedFiles?.() ?? []) {
        count += 1;
        if (count > MAX_DELETED_FILES) {
          this.incomplete = true;
          return;
        }
        if (node.kind !== 'file') continue;
        const names = [name ?? `#${String(node.id)}`];
        this.#guarded(names, () => {
          const rules = new Set([...this.#index.find(names), ...byContent]);
          for (const rule of rules) if (this.#judge(rule, node, names, true)) break;
        });
      }
    });
  }

  #enter(open: OpenDirectory[], directory: FileNode): boolean {
    if (this.#seen.has(directory.id)) return false;
    const pathCharacters = (open.at(-1)?.pathCharacters ?? 0) + 1 + (this.#names.at(-1) ?? '').length;
    if (pathCharacters > MAX_PATH_CHARACTERS || this.#seen.size >= MAX_DIRECTORIES) {
      this.incomplete = true;
      return false;
    }
    this.#seen.add(directory.id);
    this.directories += 1;
    const entries = this.#guarded(this.#names, () => directory.entries()[Symbol.iterator]());
    if (entries === undefined) return false;
    open.push({ entries, pathCharacters });
    return true;
  }

  /** Whether it was a directory after all, and is open. */
  #file(entry: DirectoryEntry, open: OpenDirectory[]): boolean {
    this.files += 1;
    const rules = this.#index.find(this.#names);
    // Only a directory without kinds in its entries costs a look at each node.
    if (entry.kind === 'file' && rules.length === 0) return false;
    if (entry.kind !== undefined && entry.kind !== 'file') return false;
    const isOpen = this.#guarded(this.#names, () => {
      const node = entry.node();
      if (node.kind === 'directory') {
        this.files -= 1;
        return this.#enter(open, node);
      }
      if (node.kind === 'file') for (const rule of rules) this.#judge(rule, node, this.#names, false);
      return false;
    });
    return isOpen === true;
  }

  #judge(rule: ExposureRule, node: FileNode, names: readonly string[], deleted: boolean): boolean {
    // Its contents are encrypted under a key that is not on the disk: a thief has its name.
    if (node.encrypted === true) return false;
    const path = `/${names.join('/')}`;
    if (!deleted && rule.except?.some((prefix) => path.startsWith(prefix)) === true) return false;
    const sighting = rule.recognise === undefined ? { detail: '' } : rule.recognise(FileContent.of(node));
    if (sighting === undefined || (rule.recognise === undefined && node.size === 0)) return false;
    const count = (this.#counts.get(rule.id) ?? 0) + 1;
    this.#counts.set(rule.id, count);
    if (count > MAX_FINDS_OF_A_RULE || this.#listedCharacters + path.length > MAX_LISTED_CHARACTERS) {
      this.more.set(rule.id, (this.more.get(rule.id) ?? 0) + 1);
      return true;
    }
    this.#listedCharacters += path.length;
    this.finds.push({
      rule,
      path,
      bytes: node.size,
      detail: sighting.detail,
      worth: sighting.worth ?? rule.worth,
      deleted,
      readableByAll: ((node.permissions ?? 0) & 0o004) !== 0,
    });
    return true;
  }

  /** A damaged part is told, and the walk goes on; an error of ours is not hidden. */
  #guarded<Result>(names: readonly string[], work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof ParseError) && !(error instanceof DiskError)) throw error;
      if (this.damages.length < MAX_DAMAGES) this.damages.push({ path: `/${names.join('/')}`, message: error.message });
      else this.incomplete = true;
      return undefined;
    }
  }
}

function ignoresCase({ kind }: FileSystem): boolean {
  return kind === 'ntfs' || kind.startsWith('fat');
}
