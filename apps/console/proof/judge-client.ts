// Asks the worker, each question a worker of its own: a question that is overtaken or takes too long ends with it.
import type { Answer, Question } from './judgement.ts';
import { Mistake } from './material.ts';

/** The largest bundle takes well below a second; a phone may need ten times that. */
const JUDGE_LIMIT_MS = 20_000;

/** Trusted Types (W3C), as far as needed: the page's policy lets no string become a script but through this one. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { readonly createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): string };
}

declare global {
  interface Window {
    readonly trustedTypes?: TrustedTypes;
  }
}

export class Judge {
  readonly #packed: string;
  readonly #policy: ReturnType<TrustedTypes['createPolicy']> | undefined;
  #last: AbortController | undefined;

  /** `packed` is judge-worker.ts, bundled, as raw DEFLATE (RFC 1951) in base64: the page stays small enough for a mail. */
  constructor(packed: string) {
    this.#packed = packed;
    // Only URLs of blobs, and only this class makes any.
    const createScriptURL = (url: string): string => (url.startsWith('blob:') ? url : '');
    this.#policy = window.trustedTypes?.createPolicy('ringwall-judge', { createScriptURL });
  }

  /** Throws Mistake. A question that a later one overtakes is never answered. */
  async ask(question: Question): Promise<Answer> {
    const script = await unpack(this.#packed);
    this.#last?.abort();
    this.#last = new AbortController();
    const url = URL.createObjectURL(script);
    try {
      return await answerFrom(this.#policy?.createScriptURL(url) ?? url, question, this.#last.signal);
    } finally {
      URL.revokeObjectURL(url);
    }
  }
}

async function unpack(packed: string): Promise<Blob> {
  if (globalThis.DecompressionStream === undefined) throw new Mistake('no-browser', 'it cannot unpack its own script');
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const unpacker = new DecompressionStream('deflate-raw');
  const unpacked = new Response(unpacker.readable).arrayBuffer();
  const writer = unpacker.writable.getWriter();
  await writer.write(bytes);
  await writer.close();
  return new Blob([await unpacked], { type: 'text/javascript' });
}

function answerFrom(url: string, question: Question, overtaken: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (globalThis.crypto?.subtle === undefined) {
      throw new Mistake('no-browser', 'it gives no cryptography (WebCrypto) to a page that was opened from a file');
    }
    const worker = new Worker(url);
    const end = (): void => {
      clearTimeout(timer);
      worker.terminate();
    };
    const fail = (mistake: Mistake): void => {
      end();
      reject(mistake);
    };
    const timer = setTimeout(() => {
      fail(new Mistake('too-slow', `it was not judged after ${JUDGE_LIMIT_MS / 1000} s`));
    }, JUDGE_LIMIT_MS);
    overtaken.addEventListener('abort', end);
    worker.addEventListener('message', (event: MessageEvent<Answer>) => {
      end();
      resolve(event.data);
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      fail(new Mistake('no-browser', event.message === '' ? 'its worker did not start' : event.message));
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- between a page and its worker there is none
    worker.postMessage(question);
  });
}
