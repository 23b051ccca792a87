// `ringwall up`: the three services in the foreground, each line of their logs with its service, until ctrl-C. One that
// dies is started again: machines go on meanwhile.
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { RingwallError } from '@ringwall/api/errors';
import type { Invocation } from '../invocation.ts';
import { missingServices, prepareDirectories, waitUntilReady, writeRecord } from '../services/control.ts';
import { goOnAsRoot, isRoot } from '../services/privilege.ts';
import { endProcess, refOf, startProcess, type ProcessRef } from '../services/processes.ts';
import { prepareRuntime } from '../services/runtime.ts';
import { serviceArgv, serviceEnvironment, SERVICES, type Runtime, type Service } from '../services/table.ts';
import { plainText, type Style } from '../terminal.ts';

const END_GRACE_MS = 10_000;
const RESTART_PAUSE_MS = 1_000;
/** A service that dies this often within a minute has a reason that starting it again will not cure. */
const DEATHS_A_MINUTE = 5;
const COLOURS: readonly Style[] = ['yellow', 'green', 'cyan'];

export async function run(invocation: Invocation): Promise<number> {
  const { paths, self, installation } = invocation;
  if (!isRoot()) goOnAsRoot(invocation, 'the services start as root and drop it');
  const missing = await missingServices(paths);
  if (missing.length < SERVICES.length) {
    throw new RingwallError('conflict', 'services run already', { hint: `end them first: ${self} down` });
  }
  // What the services run from is copied into one of them.
  prepareDirectories({ paths, self });
  const foreground = new Foreground(invocation, prepareRuntime(installation, paths));
  return foreground.run();
}

class Foreground {
  readonly #invocation: Invocation;
  readonly #runtime: Runtime;
  readonly #processes = new Map<Service, ProcessRef>();
  readonly #deaths = new Map<Service, number[]>();
  #finish: (exitCode: number) => void = () => {};
  #ending = false;

  constructor(invocation: Invocation, runtime: Runtime) {
    this.#invocation = invocation;
    this.#runtime = runtime;
  }

  async run(): Promise<number> {
    const ended = new Promise<number>((resolve) => (this.#finish = resolve));
    const onSignal = (): void => this.#finish(0);
    process.once('SIGINT', onSignal);
    process.once('SIGTERM', onSignal);
    process.once('SIGHUP', onSignal);
    try {
      for (const service of SERVICES) {
        if (!this.#ending) await this.#start(service);
      }
      this.#say(`All three answer. Ctrl-C ends them; machines go on. API: ${this.#invocation.paths.apiSocket}`);
      return await ended;
    } finally {
      this.#ending = true;
      await this.#endAll();
    }
  }

  async #start(service: Service): Promise<void> {
    const { paths } = this.#invocation;
    const child = startProcess({
      argv: serviceArgv(service, this.#runtime),
      environment: serviceEnvironment(paths),
    });
    let exit: string | undefined;
    child.once('error', (error) => (exit = error.message));
    child.once('exit', (code, signal) => {
      exit = signal ?? `exit code ${String(code)}`;
      this.#onExit(service, exit);
    });
    this.#relay(service, child);
    const ref = child.pid === undefined ? undefined : refOf(child.pid);
    if (ref !== undefined) {
      this.#processes.set(service, ref);
      writeRecord(paths, service.name, { ...ref, build: this.#runtime.id });
    }
    await waitUntilReady(
      paths,
      service,
      () => exit,
      () => '',
    );
    this.#print(service, `listens on ${paths[service.socket]} (pid ${String(child.pid)})`);
  }

  #relay(service: Service, { stdout, stderr }: ChildProcess): void {
    for (const input of [stdout, stderr]) {
      if (input !== null) createInterface({ input }).on('line', (line) => this.#print(service, line));
    }
  }

  #onExit(service: Service, how: string): void {
    this.#processes.delete(service);
    if (this.#ending) return;
    const now = performance.now();
    const deaths = [...(this.#deaths.get(service) ?? []).filter((at) => now - at < 60_000), now];
    this.#deaths.set(service, deaths);
    if (deaths.length >= DEATHS_A_MINUTE) {
      this.#print(service, `ended with ${how}, ${String(deaths.length)} times in a minute: giving up`);
      this.#finish(1);
      return;
    }
    this.#print(service, `ended with ${how}; starting it again`);
    setTimeout(() => {
      if (!this.#ending) this.#start(service).catch((error: unknown) => this.#print(service, String(error)));
    }, RESTART_PAUSE_MS);
  }

  async #endAll(): Promise<void> {
    this.#say('Ending the services; machines go on.');
    for (const service of SERVICES.toReversed()) {
      const ref = this.#processes.get(service);
      if (ref !== undefined) await endProcess(ref, END_GRACE_MS);
      rmSync(join(this.#invocation.paths.records, `${service.name}.json`), { force: true });
    }
  }

  #print(service: Service, line: string): void {
    const { out, json } = this.#invocation;
    if (json) {
      out.line(JSON.stringify({ service: service.name, line }));
      return;
    }
    const colour = COLOURS[SERVICES.indexOf(service)];
    out.line(`${out.paint(colour, service.title.padEnd(7))} ${out.sign('│', '|')} ${plainText(line)}`);
  }

  #say(text: string): void {
    if (!this.#invocation.json) this.#invocation.err.line(text);
  }
}
