import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress } from './progress.ts';
import { Terminal } from './terminal.ts';

const environment = { LANG: 'C.UTF-8', NO_COLOR: '1' };

function listen(columns?: number): { written: string[]; terminal: Terminal } {
  const written: string[] = [];
  const stream = {
    write: (text: string) => written.push(text),
    ...(columns === undefined ? {} : { isTTY: true, columns }),
  };
  return { written, terminal: new Terminal(stream, environment) };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('Progress in a pipe', () => {
  it('writes plain lines, and is never silent for two seconds', () => {
    const { written, terminal } = listen();
    const progress = new Progress(terminal);
    progress.step('booting');
    for (let waited = 0; waited < 10_000; waited += 2000) {
      const before = written.length;
      vi.advanceTimersByTime(2000);
      expect(written.length).toBeGreaterThan(before);
    }
    progress.done();
    expect(written.join('')).not.toContain('\u001b');
    expect(written.slice(0, 2)).toEqual(['  booting\n', '    … 2 s\n']);
  });

  it('tells a phase once and each of its details', () => {
    const { written, terminal } = listen();
    const progress = new Progress(terminal);
    for (const step of [
      'building image hello: kernel',
      'building image hello: initrd',
      'building image hello: initrd',
      'booting',
    ]) {
      progress.step(step);
    }
    progress.done();
    expect(written).toEqual(['  building image hello: kernel\n', '    initrd\n', '  booting\n']);
  });

  it('takes no colon in parentheses for the end of a phase', () => {
    const { written, terminal } = listen();
    using progress = new Progress(terminal);
    progress.step('booting (emulated: about 20 s)');
    expect(written).toEqual(['  booting (emulated: about 20 s)\n']);
  });

  it('says nothing where it is silent', () => {
    const { written, terminal } = listen();
    const progress = new Progress(terminal, { silent: true });
    progress.step('booting');
    vi.advanceTimersByTime(5000);
    progress.fail();
    expect(written).toEqual([]);
  });
});

describe('Progress on a terminal', () => {
  it('becomes a tick with the time it took', () => {
    const { written, terminal } = listen(80);
    const progress = new Progress(terminal);
    progress.step('booting');
    vi.advanceTimersByTime(1500);
    progress.step('attesting');
    expect(written.join('')).toContain('\r\u001b[2K  ✔ booting 1.5 s\n');
    progress.fail();
    expect(written.at(-1)).toBe('  ✘ attesting 0.0 s\n');
  });

  it('shows a bar where the fraction is known', () => {
    const { written, terminal } = listen(80);
    using progress = new Progress(terminal);
    progress.step('copying', 0.25);
    expect(written.at(-1)).toContain('█████░░░░░░░░░░░░░░░  25 % 0 s');
  });

  it('stays on one line, however long the text and narrow the terminal', () => {
    for (const columns of [10, 40, 80]) {
      const { written, terminal } = listen(columns);
      using progress = new Progress(terminal);
      progress.step(`building: ${'very '.repeat(40)}long`);
      const line = (written.at(-1) ?? '').replace('\r\u001b[2K', '');
      expect(line.length).toBeLessThanOrEqual(Math.max(columns, 14));
    }
  });

  it('leaves no line and no timer behind', () => {
    const { written, terminal } = listen(80);
    {
      using progress = new Progress(terminal);
      progress.step('booting');
    }
    expect(written.at(-1)).toBe('\r\u001b[2K');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('shows nothing that the terminal would obey', () => {
    const { written, terminal } = listen(80);
    using progress = new Progress(terminal);
    progress.step('boot\u001b]0;owned\u0007ing');
    expect(written.at(-1)).toContain('boot]0;owneding');
  });
});
