// Ties a terminal to a machine's serial console until the detach key, the machine's end or a signal. The terminal is
// given back as it was in every case, also when something throws.
import type { Socket } from 'node:net';
import { ConsoleFilter } from './terminal-filter.ts';

/** Ctrl-], as telnet and virsh have it: no shell or editor needs it. */
export const DETACH_BYTE = 0x1d;

/** Attributes off, cursor shown, lines wrapped, no mouse, no bracketed paste: whatever the guest had set. */
const RESTORE_SCREEN = '\u001b[0m\u001b[?25h\u001b[?7h\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?2004l';
/** Only from there: elsewhere it would move the cursor to where it once was saved. */
const LEAVE_ALTERNATE_SCREEN = '\u001b[?1049l';

export interface ConsoleInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  setRawMode?: (raw: boolean) => unknown;
  unref?: () => unknown;
}

export interface ConsoleEnds {
  readonly socket: Socket;
  /** What the machine sent before we listened. */
  readonly head: Uint8Array;
  readonly input: ConsoleInput;
  readonly output: ConsoleOutput;
}

export interface ConsoleOutput {
  readonly isTTY?: boolean;
  /** False where nothing more should come before `drain`. */
  write(bytes: Uint8Array | string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export async function attachConsole(ends: ConsoleEnds): Promise<'detached' | 'closed'> {
  const { socket, head, input, output } = ends;
  const terminal = input.isTTY === true && input.setRawMode !== undefined;
  // A file or a pipe gets every byte; a terminal gets none that would act outside of its screen.
  const filter = output.isTTY === true ? new ConsoleFilter() : undefined;
  const show = (bytes: Uint8Array): void => {
    const shown = filter === undefined ? bytes : filter.filter(bytes);
    if (shown.length > 0 && !output.write(shown)) {
      socket.pause();
      output.once('drain', () => socket.resume());
    }
  };
  const restore = (): void => {
    if (terminal) input.setRawMode?.(false);
    if (filter !== undefined) output.write(`${filter.alternateScreen ? LEAVE_ALTERNATE_SCREEN : ''}${RESTORE_SCREEN}`);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    restore();
    process.exit(signal === 'SIGHUP' ? 129 : 143);
  };
  // `exit` covers an uncaught error and process.exit() from elsewhere.
  process.once('exit', restore);
  process.once('SIGTERM', onSignal);
  process.once('SIGHUP', onSignal);
  try {
    if (terminal) input.setRawMode?.(true);
    return await untilEnd({ ...ends, show }, head);
  } finally {
    process.off('exit', restore);
    process.off('SIGTERM', onSignal);
    process.off('SIGHUP', onSignal);
    restore();
    input.pause();
    input.unref?.();
    // What was typed last is still sent.
    socket.destroySoon();
  }
}

function untilEnd(
  { socket, input, show }: ConsoleEnds & { show: (bytes: Uint8Array) => void },
  head: Uint8Array,
): Promise<'detached' | 'closed'> {
  return new Promise((resolve) => {
    const onInput = (bytes: Uint8Array): void => {
      const at = input.isTTY === true ? bytes.indexOf(DETACH_BYTE) : -1;
      const typed = at === -1 ? bytes : bytes.subarray(0, at);
      if (typed.length > 0) socket.write(typed);
      if (at !== -1) finish('detached');
    };
    const onInputEnd = (): void => {
      // A pipe that ends has said all: what the machine still answers is waited for until it closes.
      if (input.isTTY === true) finish('detached');
    };
    const finish = (how: 'detached' | 'closed'): void => {
      input.off('data', onInput);
      input.off('end', onInputEnd);
      resolve(how);
    };
    socket.on('data', show);
    socket.once('close', () => finish('closed'));
    socket.once('error', () => finish('closed'));
    socket.once('end', () => finish('closed'));
    input.on('data', onInput);
    input.once('end', onInputEnd);
    if (head.length > 0) show(head);
    socket.resume();
    input.resume();
  });
}
