// The layer map of the house: which room may import which, and why. tests/house/imports.test.ts holds the code to it.

export interface Layer {
  /** The folder this rule is for, from the repository root; the longest match wins. */
  readonly folder: string;
  /** Rooms of this repository that may be imported, as folders. Imports inside `folder` itself are always allowed. */
  readonly mayImport: readonly string[];
  /** Which Node built-ins may be imported: all, none, or those named. */
  readonly node: 'all' | readonly string[];
  readonly why: string;
}

const LIBS = ['lib/bytes', 'lib/tpm', 'lib/evidence', 'lib/disk', 'lib/netpolicy', 'lib/oci', 'lib/seal'] as const;

export const LAYERS: readonly Layer[] = [
  { folder: 'lib/bytes', mayImport: [], node: [], why: 'runs in a browser, depends on nothing' },
  {
    folder: 'lib/tpm',
    mayImport: ['lib/bytes'],
    node: [],
    why: 'runs in a browser: the judgement must be repeatable anywhere',
  },
  {
    folder: 'lib/evidence',
    mayImport: ['lib/bytes', 'lib/tpm'],
    node: [],
    why: 'runs in a browser: the judgement must be repeatable anywhere',
  },
  {
    folder: 'lib/disk',
    mayImport: ['lib/bytes'],
    node: ['node:crypto'],
    why: 'parses hostile images and touches no file; AES-XTS and Argon2 are not in WebCrypto',
  },
  {
    folder: 'lib/disk/src/node',
    mayImport: ['lib/bytes', 'lib/disk'],
    node: ['node:fs', 'node:zlib'],
    why: '@ringwall/disk/node: a file to read from, and Node’s decompressors',
  },
  {
    folder: 'lib/netpolicy',
    mayImport: [],
    node: [],
    why: 'runs in a browser: who can reach whom is decided without the host that enforces it',
  },
  {
    folder: 'lib/oci',
    mayImport: ['lib/bytes', 'lib/disk/exposure'],
    node: [],
    why: 'runs in a browser: whoever was refused can repeat the judgement; what a thief finds in a disk, one finds in a layer',
  },
  {
    folder: 'lib/seal',
    mayImport: ['lib/bytes'],
    node: [],
    why: 'runs in a browser: a tenant opens what was sealed for them',
  },
  { folder: 'api', mayImport: [], node: [], why: 'schemas and codes that both ends share; no logic, no effects' },
  { folder: 'host', mayImport: [...LIBS, 'api'], node: 'all', why: 'effects; decides nothing about machines' },
  {
    folder: 'control',
    mayImport: [...LIBS, 'api', 'host'],
    node: 'all',
    why: 'decisions and state; effects are passed in',
  },
  {
    folder: 'apps/cli',
    mayImport: [
      ...LIBS,
      'api',
      'drills',
      'host/advisories',
      'host/images',
      'host/registry',
      'host/seal',
      'host/signatures',
    ],
    node: 'all',
    why: 'a client of the API; images, advisories and sealed files it reads itself, where no service runs',
  },
  {
    folder: 'apps/console',
    mayImport: [...LIBS, 'api'],
    node: [],
    why: 'runs in a browser: only the API and what is pure',
  },
  { folder: 'apps/daemon', mayImport: [...LIBS, 'api', 'host', 'control'], node: 'all', why: 'wiring' },
  { folder: 'apps/warden', mayImport: [...LIBS, 'api', 'host', 'control'], node: 'all', why: 'wiring' },
  {
    folder: 'apps/broker',
    mayImport: [...LIBS, 'api', 'control'],
    node: 'all',
    why: 'wiring; a broker touches no host component',
  },
  { folder: 'apps/imagebuilder', mayImport: [...LIBS, 'api', 'host'], node: 'all', why: 'wiring' },
  {
    folder: 'testkit',
    mayImport: [...LIBS, 'api', 'host', 'control'],
    node: 'all',
    why: 'starts a whole Ringwall for tests and drills',
  },
  {
    folder: 'drills',
    mayImport: [...LIBS, 'api', 'host', 'control', 'testkit'],
    node: 'all',
    why: 'attacks use whatever an attacker could',
  },
  {
    folder: 'tests',
    mayImport: [...LIBS, 'api', 'host', 'control', 'testkit', 'drills'],
    node: 'all',
    why: 'tests of the whole',
  },
  {
    folder: 'bench',
    mayImport: [...LIBS, 'api', 'host', 'control', 'testkit'],
    node: 'all',
    why: 'measures the whole',
  },
  { folder: 'tools', mayImport: [...LIBS, 'api', 'host', 'drills'], node: 'all', why: 'builds and generates' },
  { folder: 'examples', mayImport: [...LIBS], node: 'all', why: 'what a user of the packages would write' },
];

/** One folder alone starts processes, so that argv, environment and limits of every child are decided in one place. */
export const ONLY_SPAWNERS: readonly string[] = [
  'host/exec',
  'apps/cli',
  'tools',
  'testkit',
  'drills',
  'tests',
  'bench',
];
