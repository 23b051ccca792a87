// A server and its clients on a socket of their own, and peers that keep to no protocol: what the tests of this folder share.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RingwallError } from '@ringwall/api';
import { LineClient, serveLines, type CallContext, type LineServer, type RpcLimits, type Schema } from '../index.ts';

export const LINE_LIMIT_BYTES = 4096;

export type TestRequest =
  | { op: 'echo'; text: string }
  | { op: 'wait' }
  | { op: 'open' }
  | { op: 'fail' }
  | { op: 'break' };

/** A schema by hand, so that this package shows that it needs of a schema no more than `safeParse`. */
export const requestSchema: Schema<TestRequest> = {
  safeParse(input) {
    if (typeof input === 'object' && input !== null && 'op' in input) {
      if (input.op === 'echo' && 'text' in input && typeof input.text === 'string') {
        return { success: true, data: { op: 'echo', text: input.text } };
      }
      for (const op of ['wait', 'open', 'fail', 'break'] as const)
        if (input.op === op) return { success: true, data: { op } };
    }
    return { success: false, error: { issues: [{ path: ['op'], message: 'invalid request' }] } };
  },
};

const emptySchema: Schema<Record<string, never>> = {
  safeParse: (input) =>
    typeof input === 'object' && input !== null
      ? { success: true, data: {} }
      : { success: false, error: { issues: [{ path: [], message: 'expected an object' }] } },
};

const echoSchema: Schema<{ text: string }> = {
  safeParse: (input) =>
    typeof input === 'object' && input !== null && 'text' in input && typeof input.text === 'string'
      ? { success: true, data: { text: input.text } }
      : { success: false, error: { issues: [{ path: ['text'], message: 'expected a string' }] } },
};

export const responseSchemas = {
  echo: echoSchema,
  wait: emptySchema,
  open: emptySchema,
  fail: emptySchema,
  break: emptySchema,
};

export class LinesScene implements AsyncDisposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'rpc-'));
  path: string = join(this.directory, 's.sock');
  readonly defects: unknown[] = [];
  readonly #cleanUps: (() => unknown)[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cleanUp of this.#cleanUps.splice(0).toReversed()) await cleanUp();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Before the folder is removed, the last first. */
  defer(cleanUp: () => unknown): void {
    this.#cleanUps.push(cleanUp);
  }

  async serve(
    limits: Partial<RpcLimits> = {},
    handler: (request: TestRequest, call: CallContext) => Promise<unknown> = handle,
  ): Promise<LineServer> {
    const server = await serveLines<TestRequest>({
      path: this.path,
      mode: 0o600,
      requestSchema,
      responseSchemas,
      lineLimitBytes: LINE_LIMIT_BYTES,
      limits: { closeGraceMs: 100, ...limits },
      handle: handler,
      onDefect: (error) => this.defects.push(error),
    });
    this.#cleanUps.push(() => server.close());
    return server;
  }

  client(): LineClient<TestRequest, typeof responseSchemas> {
    return new LineClient<TestRequest, typeof responseSchemas>({
      path: this.path,
      responseSchemas,
      lineLimitBytes: LINE_LIMIT_BYTES,
      peer: 'the broker',
      unavailable: 'broker-unavailable',
      hint: 'start it with ringwall up',
    });
  }

  /** A peer that writes bytes as it likes, and collects what comes back until the other side ends. */
  async rawPeer(write: (socket: Socket) => void | Promise<void>): Promise<{ lines: unknown[]; text: string }> {
    const socket = connect({ path: this.path, allowHalfOpen: true });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = new Promise<void>((resolve) => {
      socket.on('end', resolve);
      socket.on('close', () => resolve());
      socket.on('error', () => resolve());
    });
    await write(socket);
    await ended;
    socket.destroy();
    const lines = text.split('\n').filter((line) => line !== '');
    return { lines: lines.map((line): unknown => JSON.parse(line)), text };
  }

  /** A server that answers each connection with fixed bytes, as a confused or hostile one would. */
  async rawServer(onConnection: (socket: Socket) => void): Promise<void> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      this.#cleanUps.push(() => socket.destroy());
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
    this.#cleanUps.push(() => server.close());
  }
}

export async function errorOf(promise: Promise<unknown>): Promise<RingwallError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RingwallError)) throw new Error(`no RingwallError: ${String(error)}`);
  return error;
}

export async function handle(request: TestRequest, call: CallContext): Promise<unknown> {
  switch (request.op) {
    case 'echo':
      call.progress({ step: 'echoing', fraction: 0.5 });
      return { text: request.text };
    case 'wait':
      await sleep(60_000, undefined, { signal: call.signal });
      return {};
    case 'open':
      call.upgrade((stream) => {
        stream.on('data', (chunk: Uint8Array) => stream.write(`<${Buffer.from(chunk).toString()}>`));
        stream.on('end', () => stream.end());
        stream.on('error', () => undefined);
        stream.resume();
      });
      return {};
    case 'fail':
      throw new RingwallError('conflict', 'the machine runs', { hint: 'stop it' });
    case 'break':
    default:
      throw new TypeError('a secret detail');
  }
}
