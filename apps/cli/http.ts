// A client for HTTP/1.1 (RFC 9112) over a Unix socket, as small as our daemon allows: one request a connection, answers
// with a length, in chunks, until the end, or upgraded. node:http takes longer to load than everything else that a
// command does.
import type { Socket } from 'node:net';
import { RingwallError } from '@ringwall/api/errors';

/** A status line and headers of our daemon are below 1 KiB. */
const HEAD_LIMIT_BYTES = 64 * 1024;
const HEAD_BEGIN = 'HTTP/1.';
/** The largest honest answer is a list of ten thousand machines; a proof bundle is below 1 MiB. */
const BODY_LIMIT_BYTES = 32 * 1024 * 1024;
/** A chunk's size line holds at most 16 hex digits and no extensions of ours. */
const CHUNK_LINE_LIMIT_BYTES = 256;
const DEFAULT_TIMEOUT_MS = 60_000;
/** What may wait unread before the socket is paused. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** Whoever answers so is a daemon that hangs, or somebody else on its socket: `ringwall down` ends or names it. */
const STRANGE_PEER_HINT = 'it hangs, or something else listens in its place: ringwall down tells, then ringwall up';

export interface HttpRequest {
  readonly socketPath: string;
  readonly method: string;
  /** Path and query, already encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Longest silence of the server. */
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** One request and its whole answer. */
export async function requestText(request: HttpRequest): Promise<HttpAnswer & { readonly text: string }> {
  using exchange = await HttpExchange.open(request);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of exchange.body()) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) throw malformed(`an answer of more than ${String(BODY_LIMIT_BYTES)} bytes`);
    chunks.push(chunk);
  }
  return { status: exchange.status, headers: exchange.headers, text: Buffer.concat(chunks).toString('utf8') };
}

/** A request whose answer is read as it comes. */
export class HttpExchange implements Disposable, HttpAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly #source: ByteSource;

  private constructor(source: ByteSource, status: number, headers: ReadonlyMap<string, string>) {
    this.#source = source;
    this.status = status;
    this.headers = headers;
  }

  static async open(request: HttpRequest): Promise<HttpExchange> {
    const source = await ByteSource.connect(request.socketPath, request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    try {
      source.socket.write(renderRequest(request));
      const { status, headers } = parseHead(await source.readUntil('\r\n\r\n', HEAD_LIMIT_BYTES, HEAD_BEGIN));
      return new HttpExchange(source, status, headers);
    } catch (error) {
      source.destroy();
      throw error;
    }
  }

  async *body(): AsyncGenerator<Uint8Array> {
    if ((this.headers.get('transfer-encoding') ?? '').toLowerCase() === 'chunked') {
      yield* this.#chunks();
      return;
    }
    const length = this.headers.get('content-length');
    if (length === undefined) {
      for (let piece = await this.#source.read(); piece !== undefined; piece = await this.#source.read()) yield piece;
      return;
    }
    if (!/^\d{1,15}$/.test(length)) throw malformed(`content-length ${JSON.stringify(length)}`);
    yield* this.#exactly(Number(length));
  }

  /** After status 101: the connection, and what the server sent on it already. */
  takeConnection(): { readonly socket: Socket; readonly head: Uint8Array } {
    return this.#source.detach();
  }

  [Symbol.dispose](): void {
    this.#source.destroy();
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const line = await this.#source.readUntil('\r\n', CHUNK_LINE_LIMIT_BYTES);
      const size = /^([0-9a-f]{1,8})(?:;.*)?$/i.exec(line)?.[1];
      if (size === undefined) throw malformed(`a chunk of size ${JSON.stringify(line.slice(0, 20))}`);
      const length = Number.parseInt(size, 16);
      // We take no trailers, and nothing follows on this connection.
      if (length === 0) return;
      yield* this.#exactly(length);
      if ((await this.#source.readUntil('\r\n', CHUNK_LINE_LIMIT_BYTES)) !== '')
        throw malformed('a chunk that does not end');
    }
  }

  async *#exactly(length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    while (left > 0) {
      const piece = await this.#source.read(left);
      if (piece === undefined) throw cutOff();
      left -= piece.length;
      yield piece;
    }
  }
}

/** The bytes of a socket, pulled: one reader, bounded memory, and a limit to how long the peer may say nothing. */
class ByteSource {
  readonly socket: Socket;
  readonly #timeoutMs: number;
  readonly #pieces: Uint8Array[] = [];
  #waiting = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket, timeoutMs: number) {
    this.socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd).on('error', this.#onError);
  }

  static async connect(path: string, timeoutMs: number): Promise<ByteSource> {
    // On demand: half of all commands ask nobody.
    const net = await import('node:net');
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path });
      const onError = (error: Error): void => reject(connectError(path, error));
      socket.once('error', onError);
      socket.once('connect', () => {
        socket.off('error', onError);
        resolve(new ByteSource(socket, timeoutMs));
      });
    });
  }

  /** The next bytes, at most `most` of them; undefined at the end. */
  async read(most: number = Number.MAX_SAFE_INTEGER): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) return undefined;
      await this.#more();
    }
    const piece = this.#pieces.shift();
    if (piece === undefined) return undefined;
    const taken = piece.subarray(0, most);
    if (taken.length < piece.length) this.#pieces.unshift(piece.subarray(taken.length));
    this.#waiting -= taken.length;
    if (this.#waiting < HIGH_WATER_BYTES) this.socket.resume();
    return taken;
  }

  /** Text up to `mark`, without it. What does not begin with `begin` is not waited for. */
  async readUntil(mark: string, limitBytes: number, begin: string = ''): Promise<string> {
    let text = '';
    for (;;) {
      const piece = await this.read();
      if (piece === undefined) throw cutOff();
      const before = text.length;
      text += Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('latin1');
      if (!begin.startsWith(text.slice(0, begin.length))) throw strangeFirstLine(text);
      const at = text.indexOf(mark, Math.max(0, before - mark.length));
      if (at !== -1) {
        const rest = piece.subarray(at + mark.length - before);
        if (rest.length > 0) {
          this.#pieces.unshift(rest);
          this.#waiting += rest.length;
        }
        return text.slice(0, at);
      }
      if (text.length > limitBytes)
        throw malformed(`more than ${String(limitBytes)} bytes without ${JSON.stringify(mark)}`);
    }
  }

  detach(): { readonly socket: Socket; readonly head: Uint8Array } {
    const { socket } = this;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onError);
    socket.pause();
    return { socket, head: Buffer.concat(this.#pieces) };
  }

  destroy(): void {
    this.socket.destroy();
  }

  readonly #onData = (piece: Uint8Array): void => {
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    if (this.#waiting >= HIGH_WATER_BYTES) this.socket.pause();
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  readonly #onError = (error: Error): void => {
    this.#error = new RingwallError('daemon-unavailable', `the connection to ringwalld broke: ${error.message}`, {
      cause: error,
    });
    this.#wake?.();
  };

  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.socket.destroy();
        reject(
          new RingwallError('timeout', `ringwalld said nothing for ${String(this.#timeoutMs / 1000)} s`, {
            hint: STRANGE_PEER_HINT,
          }),
        );
      }, this.#timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

function renderRequest({ method, path, headers, body }: HttpRequest): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: ringwall'];
  const fields = { accept: 'application/json', connection: 'close', ...headers };
  for (const [name, value] of Object.entries(fields)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push('content-type: application/json');
  if (body !== undefined || method !== 'GET') lines.push(`content-length: ${String(Buffer.byteLength(body ?? ''))}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

function parseHead(head: string): HttpAnswer {
  const [statusLine = '', ...lines] = head.split('\r\n');
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1];
  if (status === undefined) throw strangeFirstLine(statusLine);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw malformed(`a header ${JSON.stringify(line.slice(0, 60))}`);
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(status), headers };
}

function connectError(path: string, error: Error): RingwallError {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EACCES' || code === 'EPERM') {
    return new RingwallError('unauthorized', `you may not open ${path}`, {
      hint: 'run this as root, or as a user in the group ringwall',
      cause: error,
    });
  }
  const why = code === 'ENOENT' || code === 'ECONNREFUSED' ? 'ringwalld does not run' : `ringwalld: ${error.message}`;
  return new RingwallError('daemon-unavailable', why, { hint: `it would listen on ${path}`, cause: error });
}

function cutOff(): RingwallError {
  return new RingwallError('daemon-unavailable', 'ringwalld ended the connection in the middle of its answer', {
    hint: STRANGE_PEER_HINT,
  });
}

function strangeFirstLine(text: string): RingwallError {
  return malformed(`a first line ${JSON.stringify(text.split('\r\n', 1).join('').slice(0, 60))}`);
}

function malformed(what: string): RingwallError {
  return new RingwallError('internal', `ringwalld answered with ${what}`, { hint: STRANGE_PEER_HINT });
}
