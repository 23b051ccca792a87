// ringwalld as a process of its own, killed at any moment, between real sockets with fakes of warden and broker behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  acceptedSchema,
  createdMachineSchema,
  healthSchema,
  machineListSchema,
  newMachineId,
  newOperationId,
  type Operation,
  operationSchema,
} from '@ringwall/api';
import {
  BROKER_LINE_LIMIT_BYTES,
  type BrokerRequest,
  brokerRequestSchema,
  brokerResponseSchemas,
} from '@ringwall/api/broker';
import {
  WARDEN_LINE_LIMIT_BYTES,
  type WardenRequest,
  wardenRequestSchema,
  wardenResponseSchemas,
} from '@ringwall/api/warden';
import { FakeBroker, FakeWarden } from '@ringwall/control/machines/testing';
import { type LineServer, serveLines } from '@ringwall/control/rpc';
import { Store } from '@ringwall/control/store';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const WAIT_MS = 120_000;

let folder: string;
let warden: FakeWarden;
let broker: FakeBroker;
let servers: LineServer[];
let daemon: ChildProcess | undefined;
let log = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwalld-'));
  for (const name of ['state/daemon', 'run/warden', 'run/broker']) mkdirSync(join(folder, name), { recursive: true });
  warden = new FakeWarden();
  broker = new FakeBroker();
  log = '';
  servers = [
    await serveLines<WardenRequest>({
      path: join(folder, 'run/warden/warden.sock'),
      mode: 0o600,
      requestSchema: wardenRequestSchema,
      responseSchemas: wardenResponseSchemas,
      lineLimitBytes: WARDEN_LINE_LIMIT_BYTES,
      handle: async (call, { upgrade, progress }) => {
        if (!call.op.startsWith('open-')) return warden.call(call, { onProgress: progress });
        const { result, stream } = await warden.openStream(call);
        upgrade(
          (socket) =>
            void socket
              .pipe(stream)
              .pipe(socket)
              .on('error', () => {}),
        );
        return result;
      },
    }),
    await serveLines<BrokerRequest>({
      path: join(folder, 'run/broker/broker.sock'),
      mode: 0o600,
      requestSchema: brokerRequestSchema,
      responseSchemas: brokerResponseSchemas,
      lineLimitBytes: BROKER_LINE_LIMIT_BYTES,
      handle: async (call, { upgrade }) => {
        if (call.op !== 'open-session') return broker.call(call);
        const { result, stream } = await broker.openStream(call);
        upgrade(
          (socket) =>
            void socket
              .pipe(stream)
              .pipe(socket)
              .on('error', () => {}),
        );
        return result;
      },
    }),
  ];
});

afterEach(async () => {
  await end('SIGKILL');
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true });
});

function begin(environment: Record<string, string> = { RINGWALL_DAEMON_AS_ROOT: '1' }): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=ringwall-source', join(import.meta.dirname, 'main.ts')], {
    env: { RINGWALL_STATE: join(folder, 'state'), RINGWALL_RUN: join(folder, 'run'), ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  return child;
}

async function start(): Promise<void> {
  daemon = begin();
  await until(async () => (await ask('GET', '/v1/health').catch(() => undefined)) !== undefined || undefined);
}

async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
  const child = daemon;
  daemon = undefined;
  if (child === undefined) return null;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
  return child.exitCode;
}

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: join(folder, 'run/api.sock'), method, path, timeout: 120_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(JSON.parse(text)));
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function ended(operation: Pick<Operation, 'id'>): Promise<Operation> {
  return until(async () => {
    const now = operationSchema.parse(await ask('GET', `/v1/operations/${operation.id}`));
    return now.state === 'running' ? undefined : now;
  });
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`waited too long; the daemon said:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('ringwalld', () => {
  test('makes and starts a machine, ends on SIGTERM, and leaves its socket to nobody', async () => {
    await start();
    const created = createdMachineSchema.parse(await ask('POST', '/v1/machines', { image: 'hello', start: true }));
    expect(await ended(created.operation)).toMatchObject({ state: 'done' });
    const { processes } = healthSchema.parse(await ask('GET', '/v1/health'));
    expect(processes).toMatchObject([
      { state: 'up', pid: daemon?.pid, uid: process.getuid?.() },
      { state: 'up' },
      { state: 'up' },
    ]);
    expect(await end('SIGTERM')).toBe(0);
    expect(existsSync(join(folder, 'run/api.sock'))).toBe(false);
    expect(warden.isRunning(created.machine.id)).toBe(true);
  });

  test('killed at random moments of create, start, stop and remove, loses nothing and leaves nothing', async () => {
    const moments = [0, 15, 40, 90, 160, 250, 400, 700];
    await start();
    const { machine, operation } = createdMachineSchema.parse(
      await ask('POST', '/v1/machines', { image: 'debian', name: 'web', start: true }),
    );
    for (const moment of moments) {
      await new Promise((resolve) => setTimeout(resolve, moment));
      await end('SIGKILL');
      await start();
    }
    expect(await ended(operation)).toMatchObject({ state: 'done' });
    expect(warden.isRunning(machine.id)).toBe(true);
    for (const [method, path] of [
      ['POST', '/v1/machines/web/stop'],
      ['DELETE', '/v1/machines/web'],
    ] as const) {
      const accepted = acceptedSchema.parse(await ask(method, path));
      await end('SIGKILL');
      await start();
      expect(await ended(accepted.operation)).toMatchObject({ state: 'done' });
    }
    expect(warden.machines.size).toBe(0);
    expect(broker.registered.size).toBe(0);
  });

  test('does not run as root, twice on one state, or where its directories are not', async () => {
    await start();
    const twice = begin();
    expect((await once(twice, 'close'))[0]).toBe(1);
    expect(log).toContain('another ringwalld uses the store');
    const nowhere = begin({ RINGWALL_DAEMON_AS_ROOT: '1', RINGWALL_STATE: join(folder, 'nowhere') });
    expect((await once(nowhere, 'close'))[0]).toBe(1);
    expect(log).toContain('nowhere/daemon/ringwall.db cannot be used');
    expect(log).not.toMatch(/^ +at /m);
  });

  test.skipIf(process.getuid?.() !== 0)('refuses to be root (skipped: needs root)', async () => {
    const root = begin({});
    expect((await once(root, 'close'))[0]).toBe(1);
    expect(log).toContain('does not run as root');
  });

  test('lists a thousand stopped machines in well under 300 ms, and asks nobody meanwhile', async () => {
    const store = await Store.open(join(folder, 'state/daemon/ringwall.db'));
    const at = new Date().toISOString();
    for (let index = 0; index < 1000; index++) {
      const id = newMachineId();
      await store.insertMachine(
        {
          id,
          tenant: 'default',
          name: `m${String(index)}`,
          version: 1,
          createdAt: at,
          spec: {
            image: 'hello',
            cpus: 1,
            memoryMiB: 512,
            diskMiB: 64,
            isolation: 'vm',
            running: false,
            watch: 'enforce',
            encryption: 'guest',
          },
          status: { phase: 'stopped', trust: 'unknown', reasons: [], diskUnlocked: false },
        },
        {
          id: newOperationId(),
          kind: 'machine.create',
          machine: id,
          state: 'done',
          step: '',
          createdAt: at,
          updatedAt: at,
        },
        {},
        { kind: 'machine.created', message: '' },
      );
    }
    await store.close();
    await start();
    await ask('GET', '/v1/machines');
    const asked = warden.requests.length + broker.requests.length;
    expect(machineListSchema.parse(await ask('GET', '/v1/machines')).machines).toHaveLength(1000);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(warden.requests.length + broker.requests.length).toBe(asked);
  });
});
