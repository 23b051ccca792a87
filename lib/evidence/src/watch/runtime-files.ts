// The list of what may run in an image: every executable, script, library and kernel module of its initrd and its system,
// by SHA-256. The image builder writes it beside the image as files.json; whoever passes it on may be lying, so it is
// believed by its digest alone, and read strictly.
import { ClosedObject } from '../json.ts';
import { EvidenceError } from '../errors.ts';
import { SHA256_HEX } from '../reference.ts';

/** A Debian system has two thousand; a desktop with compilers some ten thousand. */
export const MAX_RUNTIME_FILES = 65_536;
/** 65,536 files of 150 bytes, and some. */
export const MAX_RUNTIME_FILES_BYTES: number = 16 * 1024 * 1024;
/** As many as a manifest of an image may name. */
const MAX_PACKAGES = 2048;
/** PATH_MAX of Linux, without the NUL. */
const MAX_PATH_CHARACTERS = 4095;
const MAX_PACKAGE_CHARACTERS = 128;
const NO_PACKAGE = -1;

export interface RuntimePackage {
  readonly name: string;
  readonly version: string;
}

export interface RuntimeFile {
  /** Absolute, as the kernel sees it, without symbolic links. */
  readonly path: string;
  readonly sha256: string;
  /** The Debian package that it came from, where it is known. */
  readonly package: RuntimePackage | undefined;
}

export interface RuntimeFiles {
  /** The image's name. */
  readonly image: string;
  readonly files: readonly RuntimeFile[];
}

/** The same list, to look things up in. */
export interface RuntimeIndex {
  readonly image: string;
  readonly bySha256: ReadonlyMap<string, RuntimeFile>;
  readonly byPath: ReadonlyMap<string, RuntimeFile>;
}

/** files.json: sorted, each file once, one line each; the same list always gives the same bytes. */
export function renderRuntimeFiles({ image, files }: RuntimeFiles): string {
  const packages = sortedOnce(files.flatMap((file) => (file.package === undefined ? [] : [packageLine(file.package)])));
  const lines = files.map(({ path, sha256, package: from }) => {
    const at = from === undefined ? NO_PACKAGE : packages.indexOf(packageLine(from));
    return JSON.stringify({ path, sha256, package: at });
  });
  return [
    `{"version":1,"image":${JSON.stringify(image)},"packages":[`,
    `${packages.join(',\n')}],"files":[`,
    `${sortedOnce(lines).join(',\n')}]}`,
    '',
  ].join('\n');
}

/** Throws EvidenceError: `too-large`, or `files-invalid` for anything that `renderRuntimeFiles` would not have written. */
export function parseRuntimeFiles(text: string): RuntimeFiles {
  if (text.length > MAX_RUNTIME_FILES_BYTES) {
    throw new EvidenceError('too-large', `the list of files has ${text.length} characters`);
  }
  const refuse = (message: string): never => {
    throw new EvidenceError('files-invalid', message);
  };
  const object = new ClosedObject(parseJson(text), 'files', refuse);
  object.oneOf('version', [1]);
  const image = object.matching('image', /^[a-z][a-z0-9-]{0,30}$/, 'the name of an image');
  const packages = object.array('packages', MAX_PACKAGES, (item, path) => readPackage(item, path, refuse));
  const files = object.array('files', MAX_RUNTIME_FILES, (item, path) => readFile(item, path, packages, refuse));
  object.end();
  if (files.length === 0) refuse('files.files is empty: nothing could run');
  const parsed = { image, files };
  if (renderRuntimeFiles(parsed) !== text) refuse('files are not in the form in which they are written');
  return parsed;
}

export function indexRuntimeFiles({ image, files }: RuntimeFiles): RuntimeIndex {
  return {
    image,
    bySha256: new Map(files.map((file) => [file.sha256, file])),
    byPath: new Map(files.map((file) => [file.path, file])),
  };
}

function readPackage(item: unknown, path: string, refuse: (message: string) => never): RuntimePackage {
  const object = new ClosedObject(item, path, refuse);
  const parsed = {
    name: object.string('name', MAX_PACKAGE_CHARACTERS),
    version: object.string('version', MAX_PACKAGE_CHARACTERS),
  };
  object.end();
  return parsed;
}

function readFile(
  item: unknown,
  path: string,
  packages: readonly RuntimePackage[],
  refuse: (message: string) => never,
): RuntimeFile {
  const object = new ClosedObject(item, path, refuse);
  const parsed = {
    path: object.string('path', MAX_PATH_CHARACTERS),
    sha256: object.matching('sha256', SHA256_HEX, 'a SHA-256 digest in lower-case hexadecimal'),
    package: packages[object.integer('package', NO_PACKAGE, packages.length - 1)],
  };
  object.end();
  if (!parsed.path.startsWith('/')) refuse(`${path}.path is not absolute`);
  return parsed;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EvidenceError('files-invalid', 'the list of files is not JSON', { cause });
  }
}

function packageLine({ name, version }: RuntimePackage): string {
  return JSON.stringify({ name, version });
}

/** By code units, so that no locale has a say. */
function sortedOnce(lines: readonly string[]): string[] {
  return [...new Set(lines)].toSorted((left, right) => (left < right ? -1 : 1));
}
