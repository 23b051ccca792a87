// Makes the entry of a build of OVMF that Ringwall does not know yet (host/guestimage/firmware/README.md): computes from
// its files what can be computed, boots it twice to learn the rest, and writes nothing that the boots do not confirm.
//
//   npm run firmware -- /usr/share/OVMF/OVMF_CODE.fd [/usr/share/OVMF/OVMF_VARS.fd] [--kernel FILE] [--name NAME]
//
// And prints what a build that is known measures in a machine of so many processors, which `reference build FILE` takes:
//
//   npm run --silent firmware -- /usr/share/OVMF/OVMF_CODE.fd [VARS] --manifest --cpus 2 > firmware.json
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RingwallError } from '@ringwall/api';
import { toHex } from '@ringwall/bytes';
import { parseFirmwareManifest } from '@ringwall/evidence';
import { run } from '@ringwall/host/exec';
import { FIRMWARE_VARS, initializePei, readFirmware, unpackVolumes } from '@ringwall/host/guestimage';
import { parseEventData, type EventLog } from '@ringwall/tpm';
import { findLayout, layoutOf, type RecordedLayout } from './firmware/layout.ts';
import { observe, type BareMachine } from './firmware/observe.ts';

const DIRECTORY = join(import.meta.dirname, '../host/guestimage/firmware');
const LIST = 'known.ts';
const KERNELS = ['/var/lib/ringwall/images/hello/kernel'];

/** Two machines that differ in all that may matter: memory on both sides of q35's split at 2.75 GiB. */
const MACHINES = [
  { cpus: 2, memoryMiB: 512 },
  { cpus: 3, memoryMiB: 3072 },
] as const;

export interface FirmwareEntry {
  readonly version: 1;
  readonly name: string;
  readonly digest: string;
  readonly varsDigest: string;
  readonly crtmVersion: string;
  readonly bootOptions: readonly string[];
  readonly platformInfo: RecordedLayout;
}

export async function makeEntry(
  files: Pick<BareMachine, 'code' | 'vars' | 'kernel'>,
  name: string,
  progress: (line: string) => void,
): Promise<FirmwareEntry> {
  const code = new Uint8Array(readFileSync(files.code));
  const { pei, dxeDigest } = await unpackVolumes(code, run);
  const [small, large] = MACHINES;
  progress(`booting it with ${small.cpus} processors and ${small.memoryMiB} MiB`);
  const first = await observe({ ...files, ...small });
  progress(`booting it with ${large.cpus} processors and ${large.memoryMiB} MiB`);
  const second = await observe({ ...files, ...large });

  const platformInfo = findLayout(
    pei,
    { cpus: small.cpus, memory: first.pei },
    { cpus: large.cpus, memory: second.pei },
  );
  // What memory held is believed only as far as the TPM was told the same.
  for (const [{ cpus }, { log }] of [
    [small, first],
    [large, second],
  ] as const) {
    const expected = [sha256(initializePei(pei, layoutOf(platformInfo), { cpus })), dxeDigest];
    const measured = digestsOf(log, 'EV_EFI_PLATFORM_FIRMWARE_BLOB');
    if (expected.join() !== measured.join()) {
      throw new Error(`with ${cpus} processors it measured ${measured.join(', ')}, expected ${expected.join(', ')}`);
    }
  }
  const [learned, again] = [first, second].map(({ log }) => ({
    crtmVersion: onlyOf(dataOf(log, 'EV_S_CRTM_VERSION'), 'a firmware version'),
    // BootOrder comes first.
    bootOptions: bootVariables(log).slice(1),
  }));
  if (learned === undefined || JSON.stringify(learned) !== JSON.stringify(again)) {
    throw new Error('its version or its boot options differ from boot to boot');
  }
  const entry = {
    version: 1,
    name,
    digest: sha256(code),
    varsDigest: sha256(readFileSync(files.vars)),
    ...learned,
    platformInfo,
  } as const;
  const { platformInfo: _layout, ...manifest } = entry;
  parseFirmwareManifest({ ...manifest, volumes: [{ name: 'DXEFV', digest: dxeDigest }] });
  return entry;
}

/** As the formatter leaves it. */
export function renderEntry(entry: FirmwareEntry): string {
  const text = JSON.stringify(entry, undefined, 2);
  return `${text.replace(/("cpus": )\[([\s\d,]+)\]/, (_, key: string, list: string) => `${key}[${list.trim().replaceAll(/\s+/g, ' ')}]`)}\n`;
}

/** The list of all entries in the directory, as firmware.ts imports it. */
export function renderList(names: readonly string[]): string {
  const imports = names.map((name, index) => `import entry${index} from './${name}' with { type: 'json' };`);
  return [
    '// Made by tools/firmware-manifest.ts: the builds of OVMF that Ringwall knows, one file for each.',
    ...imports,
    '',
    `export const KNOWN_FIRMWARE = [${names.map((_, index) => `entry${index}`).join(', ')}] as const;`,
    '',
  ].join('\n');
}

function dataOf(log: EventLog, type: string): string[] {
  return log.events.filter(({ typeName }) => typeName === type).map(({ data }) => toHex(data));
}

/** The log names the variable beside its data; EV_EFI_VARIABLE_BOOT measures the data alone. */
function bootVariables(log: EventLog): string[] {
  return log.events
    .filter(({ typeName }) => typeName === 'EV_EFI_VARIABLE_BOOT')
    .map((event) => {
      const variable = parseEventData(event);
      if (variable.kind !== 'variable') throw new Error(`event ${event.index} is no UEFI variable`);
      if (sha256(variable.data) !== toHex(event.digests.get('sha256') ?? new Uint8Array())) {
        throw new Error(`${variable.name} was measured otherwise than it is logged`);
      }
      return toHex(variable.data);
    });
}

function digestsOf(log: EventLog, type: string): string[] {
  return log.events
    .filter(({ typeName }) => typeName === type)
    .map(({ digests }) => toHex(digests.get('sha256') ?? new Uint8Array()));
}

function onlyOf(values: readonly string[], what: string): string {
  const [value, ...more] = values;
  if (value === undefined || more.length > 0) throw new Error(`the log has ${values.length} times ${what}`);
  return value;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The Debian package that a file came with, and its version. */
function packageOf(file: string): string | undefined {
  const owner = /^([^:]+): /.exec(
    spawnSync('/usr/bin/dpkg-query', ['-S', file], { encoding: 'utf8' }).stdout ?? '',
  )?.[1];
  if (owner !== 'ovmf') return undefined;
  return spawnSync('/usr/bin/dpkg-query', ['-W', '-f', '${Version}', owner], { encoding: 'utf8' }).stdout;
}

async function main(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      kernel: { type: 'string' },
      name: { type: 'string' },
      manifest: { type: 'boolean' },
      cpus: { type: 'string', default: '1' },
    },
  });
  const [code, vars = FIRMWARE_VARS] = positionals;
  if (values.manifest === true && code !== undefined) {
    const manifest = await readFirmware({ cpus: Number(values.cpus) }, { code, vars });
    process.stdout.write(`${JSON.stringify(manifest, undefined, 2)}\n`);
    return;
  }
  const kernel = values.kernel ?? KERNELS.find((path) => existsSync(path));
  if (code === undefined) throw new Error('which file? npm run firmware -- /usr/share/OVMF/OVMF_CODE.fd');
  if (kernel === undefined)
    throw new Error('no kernel to boot: name one with --kernel, or run `ringwall run hello` once');
  const version = packageOf(code);
  const name = values.name ?? (version === undefined ? undefined : `OVMF ${version}`);
  if (name === undefined) throw new Error(`${code} is of no Debian package: name the build with --name`);
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const entry = await makeEntry({ code, vars, kernel }, name, say);
  const file = `${name.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}.json`;
  writeFileSync(join(DIRECTORY, file), renderEntry(entry));
  const names = readdirSync(DIRECTORY)
    .filter((each) => each.endsWith('.json'))
    .toSorted();
  writeFileSync(join(DIRECTORY, LIST), renderList(names));
  say(`computed from the files:   digest, varsDigest, and with each start of a machine PEIFV and DXEFV`);
  say(`observed in two boots:     crtmVersion, bootOptions, platformInfo`);
  say(`confirmed by both boots:   the digests of PEIFV and DXEFV that follow from them`);
  say(`wrote host/guestimage/firmware/${file} and ${LIST}; now: npm run build, and a test on this host`);
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const hint = error instanceof RingwallError && error.hint !== undefined ? `\n  ${error.hint}` : '';
    process.stderr.write(`firmware-manifest: ${error.message}${hint}\n`);
    process.exitCode = 1;
  }
}
