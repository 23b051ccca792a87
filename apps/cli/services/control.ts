// Starts the services that do not run, and ends those that this command line started. A record of each process lies in
// the run directory; readiness is its socket, raced against its exit.
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { RingwallError, type ErrorCode } from '@ringwall/api/errors';
import type { Installation } from '../installation.ts';
import { makeDirectory } from '../make-directory.ts';
import { readAccounts } from './accounts.ts';
import type { Paths } from './paths.ts';
import { answers, endProcess, isAlive, refOf, startProcess, until, type ProcessRef } from './processes.ts';
import { prepareRuntime, removeOldRuntimes } from './runtime.ts';
import {
  serviceArgv,
  serviceDirectories,
  serviceEnvironment,
  SERVICES,
  type Runtime,
  type Service,
  type ServiceName,
} from './table.ts';

/** On two busy cores under emulation a service needs a second or two until it listens. */
const READY_TIMEOUT_MS = 30_000;
/** A service ends at once; the store's last write may wait for a slow disk. */
const END_GRACE_MS = 10_000;
/** Another command that starts them is done within this, or is stuck. */
const LOCK_TIMEOUT_MS = READY_TIMEOUT_MS + END_GRACE_MS;
/** A log that is larger when its service starts is set aside, and the one set aside before is dropped. */
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
const LOG_TAIL_LINES = 12;

export interface ServiceContext {
  readonly paths: Paths;
  readonly installation: Installation;
  readonly self: string;
  readonly step: (text: string) => void;
}

export interface ServiceRecord extends ProcessRef {
  readonly build: string;
  /** The installation whose command started it in the background; of `up`, which keeps its services itself, none. */
  readonly startedFrom?: string;
}

const UNAVAILABLE: Readonly<Record<ServiceName, ErrorCode>> = {
  'ringwall-warden': 'warden-unavailable',
  'ringwall-broker': 'broker-unavailable',
  ringwalld: 'daemon-unavailable',
};

export async function missingServices(paths: Paths): Promise<Service[]> {
  const up = await Promise.all(SERVICES.map((service) => answers(paths[service.socket])));
  return SERVICES.filter((_, index) => up[index] !== true);
}

/** Starts what is missing, in the background. Needs root. */
export async function ensureServices(context: ServiceContext): Promise<ServiceName[]> {
  prepareDirectories(context);
  using _lock = await lockStart(context.paths);
  const missing = await missingServices(context.paths);
  if (missing.length === 0) return [];
  const runtime = prepareRuntime(context.installation, context.paths);
  if (missing.length === SERVICES.length) removeOldRuntimes(context.paths, runtime);
  for (const service of missing) {
    context.step(`starting the services: ${service.title}`);
    await startInBackground(context, service, runtime);
  }
  return missing.map(({ name }) => name);
}

export interface StoppedService {
  readonly name: ServiceName;
  /** `not ours`: it answers, and this command line did not start it. */
  readonly outcome: 'ended' | 'killed' | 'did not run' | 'not ours';
}

/** Ends what we started, in the reverse order. Machines go on. */
export async function stopServices(paths: Paths, step: (text: string) => void): Promise<StoppedService[]> {
  const stopped: StoppedService[] = [];
  for (const service of SERVICES.toReversed()) {
    const record = readRecord(paths, service.name);
    if (record === undefined || !isAlive(record)) {
      const outcome = (await answers(paths[service.socket])) ? 'not ours' : 'did not run';
      stopped.push({ name: service.name, outcome });
      continue;
    }
    step(`stopping the services: ${service.title}`);
    stopped.push({ name: service.name, outcome: await endProcess(record, END_GRACE_MS) });
    rmSync(recordFile(paths, service.name), { force: true });
  }
  return stopped;
}

export function prepareDirectories({ paths, self }: Pick<ServiceContext, 'paths' | 'self'>): void {
  const accounts = readAccounts(self);
  for (const { path, mode, user, group } of serviceDirectories(paths)) {
    makeDirectory(path, mode);
    if (!lstatSync(path).isDirectory()) {
      throw new RingwallError('conflict', `${path} is no directory`, { hint: 'move it away' });
    }
    chownSync(path, accounts.uidOf(user), accounts.gidOf(group));
    chmodSync(path, mode);
  }
}

export function writeRecord(paths: Paths, name: ServiceName, record: ServiceRecord): void {
  const file = recordFile(paths, name);
  writeFileSync(`${file}.new`, `${JSON.stringify(record)}\n`, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

export function readRecord(paths: Paths, name: ServiceName): ServiceRecord | undefined {
  try {
    const { pid, startTicks, build, startedFrom }: Partial<Record<keyof ServiceRecord, unknown>> = JSON.parse(
      readFileSync(recordFile(paths, name), 'utf8'),
    );
    if (typeof pid !== 'number' || typeof startTicks !== 'string') return undefined;
    return {
      pid,
      startTicks,
      build: typeof build === 'string' ? build : '',
      ...(typeof startedFrom === 'string' ? { startedFrom } : {}),
    };
  } catch {
    return undefined;
  }
}

/** Waits until the service listens, or says why it will not. */
export async function waitUntilReady(
  paths: Paths,
  service: Service,
  exited: () => string | undefined,
  logTail: () => string,
): Promise<void> {
  const ready = await until(
    async () => exited() !== undefined || (await answers(paths[service.socket])),
    READY_TIMEOUT_MS,
  );
  const exit = exited();
  if (exit === undefined && ready) return;
  const why = exit === undefined ? `did not listen within ${String(READY_TIMEOUT_MS / 1000)} s` : `ended with ${exit}`;
  throw new RingwallError(UNAVAILABLE[service.name], `the ${service.title} ${why}${logTail()}`, {
    hint: `its log: ${logFile(paths, service)}`,
  });
}

async function startInBackground(context: ServiceContext, service: Service, runtime: Runtime): Promise<void> {
  const { paths } = context;
  // Again for each: a service may have set the modes that it knows of, as it started.
  prepareDirectories(context);
  const log = openLog(paths, service);
  const began = statSync(log.file).size;
  const argv = serviceArgv(service, runtime);
  const child = startProcess({ argv, environment: serviceEnvironment(paths), logFd: log.fd });
  closeSync(log.fd);
  let exit: string | undefined;
  child.once('error', (error) => (exit = error.message));
  child.once('exit', (code, signal) => (exit = signal ?? `exit code ${String(code)}`));
  const ref = child.pid === undefined ? undefined : refOf(child.pid);
  const startedFrom = context.installation.directory;
  if (ref !== undefined) writeRecord(paths, service.name, { ...ref, build: runtime.id, startedFrom });
  try {
    await waitUntilReady(
      paths,
      service,
      () => exit,
      () => tailOf(log.file, began),
    );
  } catch (error) {
    if (ref !== undefined) await endProcess(ref, 0);
    rmSync(recordFile(paths, service.name), { force: true });
    throw error;
  }
  child.unref();
}

export function logFile(paths: Paths, { name }: Service): string {
  return join(paths.logs, `${name}.log`);
}

function openLog(paths: Paths, service: Service): { readonly fd: number; readonly file: string } {
  const file = logFile(paths, service);
  if (existsSync(file) && statSync(file).size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`);
  return { fd: openSync(file, 'a', 0o640), file };
}

/** The last lines that were written since `from`, below the message. */
function tailOf(file: string, from: number): string {
  const text = readFileSync(file).subarray(from).toString('utf8').trim();
  return text === ''
    ? ''
    : `:\n${text
        .split('\n')
        .slice(-LOG_TAIL_LINES)
        .map((line) => `    ${line}`)
        .join('\n')}`;
}

function recordFile(paths: Paths, name: ServiceName): string {
  return join(paths.records, `${name}.json`);
}

/** Two commands at once must not both start the services. The lock of a dead process is no lock. */
async function lockStart(paths: Paths): Promise<Disposable> {
  const file = join(paths.records, 'start.lock');
  const take = (): boolean => {
    try {
      writeFileSync(file, JSON.stringify(refOf(process.pid)), { flag: 'wx' });
      return true;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      if (!holderLives(file)) rmSync(file, { force: true });
      return false;
    }
  };
  if (!(await until(take, LOCK_TIMEOUT_MS))) {
    throw new RingwallError('conflict', 'another ringwall is starting the services, and does not come to an end', {
      hint: `if it is gone, remove ${file}`,
    });
  }
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

function holderLives(file: string): boolean {
  try {
    const { pid, startTicks }: Partial<Record<keyof ProcessRef, unknown>> = JSON.parse(readFileSync(file, 'utf8'));
    return typeof pid === 'number' && typeof startTicks === 'string' && isAlive({ pid, startTicks });
  } catch {
    // It may be empty for the moment between making and writing it.
    return existsSync(file) && Date.now() - statSync(file).mtimeMs < 1_000;
  }
}
