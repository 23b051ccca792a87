// The client of the line-framed RPC. Each call has a connection of its own: no call waits behind another, a server that
// was restarted needs no reconnecting, and a time-out or an abort ends one call only.
import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errorBodySchema, type ErrorCode, RingwallError } from '@ringwall/api';
import { LineError, LineSplitter } from './lines.ts';
import { parseStrict, quoted, type Schema, type SchemaOutput } from './schema.ts';
import type { Progress } from './server.ts';

/** For a request that only reads or writes a record; long ones (building an image) name their own. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** Connecting to a Unix socket is instant, or else the backlog is full. */
const CONNECT_TIMEOUT_MS = 5_000;

/** A server of ours says within half a second that it has heard: longer silence is a stranger's, or a process that hangs. */
const FIRST_WORD_TIMEOUT_MS = 10_000;

/** More at a time would only queue in the server; the caller has a defect. */
const CONCURRENT_CALLS = 512;

export interface ClientOptions<Op extends string, Schemas extends Readonly<Record<Op, Schema<unknown>>>> {
  readonly path: string;
  readonly responseSchemas: Schemas;
  readonly lineLimitBytes: number;
  /** How the other side is called in errors, e.g. 'the broker'. */
  readonly peer: string;
  /** The code of an error when the other side does not answer. */
  readonly unavailable: ErrorCode;
  /** What the operator can do then. */
  readonly hint: string;
}

export interface CallOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** For the whole call, progress or not. */
  readonly timeoutMs?: number;
  /** For the first word of an answer, be it progress. */
  readonly firstWordMs?: number;
  readonly signal?: AbortSignal;
}

export class LineClient<
  Request extends { readonly op: string },
  Schemas extends Readonly<Record<Request['op'], Schema<unknown>>>,
> {
  readonly #options: ClientOptions<Request['op'], Schemas>;
  #calls = 0;

  constructor(options: ClientOptions<Request['op'], Schemas>) {
    this.#options = options;
  }

  /** Sends one request and waits for its result. Throws only RingwallError. */
  async call<const R extends Request>(request: R, options: CallOptions = {}): Promise<SchemaOutput<Schemas[R['op']]>> {
    const { result, socket } = await this.#exchange(request, options);
    socket.destroy();
    return result;
  }

  /**
   * As `call`, for a request that turns its connection into a stream. The caller must end or destroy the stream. It is
   * paused, so that nothing is lost before somebody reads: `pipe` and `for await` start it, on('data') needs `resume()`.
   */
  async openStream<const R extends Request>(
    request: R,
    options: CallOptions = {},
  ): Promise<{ result: SchemaOutput<Schemas[R['op']]>; stream: Duplex }> {
    const { result, socket, rest } = await this.#exchange(request, options);
    if (rest.length > 0) socket.unshift(rest);
    return { result, stream: socket };
  }

  async #exchange<R extends Request>(
    request: R,
    options: CallOptions,
  ): Promise<{ result: SchemaOutput<Schemas[R['op']]>; socket: Socket; rest: Uint8Array }> {
    const { peer, path } = this.#options;
    const line = `${JSON.stringify({ id: 1, request })}\n`;
    if (Buffer.byteLength(line) > this.#options.lineLimitBytes) {
      throw new RingwallError(
        'too-large',
        `a request of more than ${String(this.#options.lineLimitBytes)} bytes to ${peer}`,
      );
    }
    if (this.#calls >= CONCURRENT_CALLS) {
      throw new RingwallError(
        this.#options.unavailable,
        `more than ${String(CONCURRENT_CALLS)} calls at a time to ${peer}`,
        {
          hint: this.#options.hint,
        },
      );
    }
    this.#calls += 1;
    const socket = connect({ path, allowHalfOpen: true });
    try {
      const { answer, rest } = await this.#readAnswer(socket, line, options);
      const schema = this.#options.responseSchemas[request.op as Request['op']];
      const parsed = parseStrict(schema, answer);
      if (!parsed.ok) throw this.#nonsense(`its result of ${request.op}: ${parsed.why}`);
      // The schema of this very op has parsed it: the index type cannot say so.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return { result: parsed.data as SchemaOutput<Schemas[R['op']]>, socket, rest };
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      this.#calls -= 1;
    }
  }

  #readAnswer(socket: Socket, line: string, options: CallOptions): Promise<{ answer: unknown; rest: Uint8Array }> {
    const lines = new LineSplitter(this.#options.lineLimitBytes);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const { promise, resolve, reject } = Promise.withResolvers<{ answer: unknown; rest: Uint8Array }>();

    const onData = (chunk: Uint8Array): void => {
      clearTimeout(firstWordTimer);
      try {
        lines.push(chunk);
        for (let next = lines.next(); next !== undefined; next = lines.next()) {
          const message = this.#parseMessage(next);
          if (message.kind === 'progress' && message.progress.step !== '') options.onProgress?.(message.progress);
          if (message.kind === 'error') throw message.error;
          if (message.kind !== 'result') continue;
          socket.pause();
          resolve({ answer: message.result, rest: lines.takeRest() });
          return;
        }
      } catch (error) {
        reject(error instanceof LineError ? this.#nonsense(error.message) : asError(error));
      }
    };
    const onError = (error: Error): void => reject(this.#connectError(error));
    const onEnd = (): void =>
      reject(this.#unavailable(`${this.#options.peer} closed the connection before it answered`));
    const onAbort = (): void =>
      reject(new RingwallError('timeout', `the request to ${this.#options.peer} was cancelled`));
    const connectTimer = setTimeout(() => {
      reject(this.#unavailable(`${this.#options.peer} took no connection for ${String(CONNECT_TIMEOUT_MS)} ms`));
    }, CONNECT_TIMEOUT_MS);
    const firstWordMs = options.firstWordMs ?? FIRST_WORD_TIMEOUT_MS;
    const firstWordTimer = setTimeout(() => {
      reject(
        new RingwallError(
          'timeout',
          `what listens on ${this.#options.path} said nothing for ${String(firstWordMs)} ms: it hangs, or it is not ${this.#options.peer}`,
          { hint: `see who it is: ss -xlp | grep ${this.#options.path}\n${this.#options.hint}` },
        ),
      );
    }, firstWordMs);
    const timer = setTimeout(() => {
      reject(
        new RingwallError('timeout', `${this.#options.peer} gave no answer for ${String(timeoutMs)} ms`, {
          hint: this.#options.hint,
        }),
      );
    }, timeoutMs);

    socket.once('connect', () => {
      clearTimeout(connectTimer);
      socket.write(line);
    });
    socket.on('data', onData);
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    if (options.signal?.aborted === true) onAbort();

    return promise.finally(() => {
      clearTimeout(connectTimer);
      clearTimeout(firstWordTimer);
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.off('error', onError);
      // Until the caller listens, a peer that dies must not become an uncaught error: 'close' follows and is seen.
      socket.on('error', () => socket.destroy());
    });
  }

  #parseMessage(line: Uint8Array): Message {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line));
    } catch {
      throw this.#nonsense('a line that is not JSON');
    }
    if (typeof value !== 'object' || value === null) throw this.#nonsense('a line that is not a JSON object');
    const fields = new Map<string, unknown>(Object.entries(value));
    const id = fields.get('id');
    fields.delete('id');
    const [entry, ...others] = fields;
    if (entry === undefined || others.length > 0) throw this.#nonsense('an answer that says not exactly one thing');
    const [kind, content] = entry;
    if (kind === 'error') {
      const error = parseStrict(errorBodySchema, content);
      if (!error.ok) throw this.#nonsense(`an error of unknown shape: ${error.why}`);
      const { code, message, hint } = error.data;
      return { kind, error: new RingwallError(code, message, hint === undefined ? {} : { hint }) };
    }
    if (id !== 1) throw this.#nonsense('an answer to a request that was not sent');
    if (kind === 'result') return { kind, result: content };
    if (kind === 'progress') return { kind, progress: this.#parseProgress(content) };
    throw this.#nonsense(`an answer of unknown kind ${quoted(kind)}`);
  }

  #parseProgress(content: unknown): Progress {
    if (typeof content === 'object' && content !== null && 'step' in content && typeof content.step === 'string') {
      const fraction = 'fraction' in content ? content.fraction : undefined;
      if (fraction === undefined) return { step: content.step };
      if (typeof fraction === 'number' && fraction >= 0 && fraction <= 1) return { step: content.step, fraction };
    }
    throw this.#nonsense('progress of unknown shape');
  }

  #nonsense(what: string): RingwallError {
    const { peer, path, hint } = this.#options;
    return new RingwallError('internal', `${peer} answered with ${what}`, {
      hint: `either ringwall was not updated as a whole, or something else listens on ${path}: ${hint}`,
    });
  }

  #unavailable(message: string, cause?: unknown): RingwallError {
    return new RingwallError(this.#options.unavailable, message, { hint: this.#options.hint, cause });
  }

  #connectError(error: Error): RingwallError {
    const { peer, path } = this.#options;
    const code = 'code' in error ? error.code : undefined;
    if (code === 'EACCES' || code === 'EPERM') {
      return new RingwallError('unauthorized', `${whoami()} may not open ${path}${ownerOf(path)}`, {
        hint: `${peer} did not make it so; see who did: ss -xlp | grep ${path}\n${this.#options.hint}`,
        cause: error,
      });
    }
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return this.#unavailable(`${peer} does not run`, error);
    return this.#unavailable(`${peer} cannot be reached: ${error.message}`, error);
  }
}

type Message =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly error: RingwallError };

function whoami(): string {
  return `uid ${String(process.getuid?.() ?? 'unknown')}`;
}

/** As in `, which belongs to uid 0, mode 600`; nothing where even that may not be seen. */
function ownerOf(path: string): string {
  try {
    const { uid, mode } = lstatSync(path);
    return `, which belongs to uid ${String(uid)}, mode ${(mode & 0o777).toString(8)}`;
  } catch {
    return '';
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
