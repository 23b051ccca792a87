// The API on a Unix socket of its own, on fakes of the warden and the broker, and a client of it: what its tests share.
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createdMachineSchema, errorAnswerSchema, HTTP_STATUS_OF_ERROR, type Machine } from '@ringwall/api';
import { World } from '@ringwall/control/machines/testing';
import { Disks } from '@ringwall/control/disks';
import { Approvals, Backups, References, Snapshots, Templates, Transfers } from '@ringwall/control/machines';
import { Metrics } from '@ringwall/control/metrics';
import { Counters, Mirrors, Packets, Peers } from '@ringwall/control/networks';
import { makeApi } from '../api.ts';
import { type ApiServer, listenOn } from '../server.ts';

export const BUILD = '0123456789abcdef';
export const VERSION = '1.2.3';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: unknown;
}

export class ServedApi implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'ringwall-api-'));
  readonly world: World;
  #server: ApiServer | undefined;

  private constructor(world: World) {
    this.world = world;
  }

  static async open(): Promise<ServedApi> {
    const api = new ServedApi(await World.open());
    await api.listen();
    return api;
  }

  get path(): string {
    return join(this.#folder, 'api.sock');
  }

  async listen(): Promise<void> {
    const { machines, host, store, worker, warden, broker, notes } = this.world;
    const note = (line: string): void => void notes.push(line);
    const { operations, networks } = worker;
    const disks = new Disks({ store, warden, broker, operations, note });
    const snapshots = new Snapshots({ store, warden, broker });
    const counters = new Counters({ store, warden });
    const transfers = new Transfers({ store, warden, broker });
    const app = makeApi({
      machines,
      disks,
      networks,
      peers: new Peers({ store, warden }),
      counters,
      mirrors: new Mirrors({ store, warden }),
      metrics: new Metrics({ store, networks, counters, host, operations, version: VERSION }),
      snapshots,
      templates: new Templates({ store, warden }),
      transfers,
      approvals: new Approvals({ store, broker }),
      backups: new Backups({ machines, snapshots, store, note }),
      references: new References({ broker, warden, machines, store }),
      operations,
      host,
      store,
      version: VERSION,
      build: BUILD,
      note,
    });
    this.#server = await listenOn(this.path, app, {
      machines,
      disks,
      packets: new Packets({ store, warden, note }),
      transfers,
      note,
    });
  }

  async stopListening(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopListening();
    await this.world[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true });
  }

  async ask(
    method: string,
    path: string,
    body?: Buffer | object,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    const response = await this.open(method, path, bytes, headers);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    const isJson = response.headers['content-type'] === 'application/json';
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  }

  open(method: string, path: string, body?: Buffer, headers: Record<string, string> = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.path, method, path, headers }, resolve);
      call.on('error', reject);
      call.end(body);
    });
  }

  async makeMachine(name = 'web', start = true): Promise<Machine> {
    const { machine, operation } = createdMachineSchema.parse(
      (await this.ask('POST', '/v1/machines', { image: 'hello', name, start })).body,
    );
    await this.world.ended(operation);
    return machine;
  }
}

/** Throws where the status is not what its code has. */
export async function codeOf(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  const { error } = errorAnswerSchema.parse(body);
  if (status === HTTP_STATUS_OF_ERROR[error.code]) return error.code;
  throw new Error(`${error.code} has the status ${status}`);
}

/** All that comes until it is closed. */
export function textOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', () => {});
    socket.once('close', () => resolve(text));
  });
}
