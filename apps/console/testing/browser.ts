// The proof page in a real Chromium, opened from its file as a tenant opens it, and what a person would read on it.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const ROOT = resolve(import.meta.dirname, '../../..');
const CHROMIUM = '/usr/bin/chromium';
/** To hand it the largest file, beside a guest that boots. */
const ACTION_TIMEOUT_MS = 120_000;
export const PAGE_FILE: string = resolve(ROOT, 'dist/ringwall-proof.html');
const PAGE = pathToFileURL(PAGE_FILE).href;

export const NO_CHROMIUM: boolean = !existsSync(CHROMIUM);
export const NEEDS_CHROMIUM: string = NO_CHROMIUM ? ' (skipped: needs chromium)' : '';

/** Something to give to the page. */
export interface TestFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

export function file(name: string, content: string | Uint8Array): TestFile {
  return { name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) };
}

/** What the page shows, without its words. */
export interface Shown {
  readonly state: string;
  readonly links: readonly string[];
  readonly failed: readonly string[];
  readonly checks: number;
  readonly events: readonly string[];
  readonly anchors: readonly string[];
  readonly sentences: readonly string[];
  readonly alerts: readonly string[];
}

export class ProofPage implements AsyncDisposable {
  readonly page: Page;
  /** All that must not be: requests, errors, violations of the page's policy. */
  readonly trouble: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('request', (request) => {
      const url = request.url();
      if (url !== PAGE && !url.startsWith('blob:') && !url.startsWith('data:')) this.trouble.push(`request: ${url}`);
    });
    page.on('console', (message) => this.trouble.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => this.trouble.push(`error: ${error.message}`));
  }

  /** `before` runs in the page before its own script. */
  static async open(
    browser: Browser,
    options: BrowserContextOptions = {},
    before?: (page: Page) => Promise<unknown>,
  ): Promise<ProofPage> {
    const context = await browser.newContext({ offline: true, acceptDownloads: false, ...options });
    context.setDefaultTimeout(ACTION_TIMEOUT_MS);
    const opened = new ProofPage(await context.newPage());
    await opened.page.exposeFunction('reportViolation', (what: string) => opened.trouble.push(`policy: ${what}`));
    await opened.page.addInitScript(
      `addEventListener('securitypolicyviolation', (e) => reportViolation(e.violatedDirective + ' ' + e.blockedURI));`,
    );
    await before?.(opened.page);
    await opened.page.goto(PAGE);
    return opened;
  }

  /** Gives files as the file picker does, and waits until the page has answered. */
  async give(...files: readonly TestFile[]): Promise<Shown> {
    await this.#answered(() => this.page.setInputFiles('#picker', [...files]));
    return this.shown();
  }

  /** Does something that makes the page judge, and waits for its answer. */
  async after(act: () => Promise<unknown>): Promise<Shown> {
    await this.#answered(act);
    return this.shown();
  }

  async #answered(act: () => Promise<unknown>): Promise<void> {
    const before = await this.page.evaluate(() => Number(document.body.dataset['answers']));
    await act();
    await this.page.waitForFunction((count) => Number(document.body.dataset['answers']) > count, before);
  }

  shown(): Promise<Shown> {
    return this.page.evaluate(() => {
      const all = (selector: string): HTMLElement[] => [...document.querySelectorAll<HTMLElement>(selector)];
      const data = (element: HTMLElement, ...names: string[]): string =>
        names.map((name) => element.dataset[name] ?? '').join(' ');
      const texts = (selector: string): string[] => all(selector).map((element) => element.textContent ?? '');
      return {
        state: document.body.dataset['state'] ?? '',
        links: all('.link').map((element) => data(element, 'link', 'state')),
        failed: all('[data-check][data-ok=false]').map((element) => data(element, 'check')),
        checks: all('[data-check]').length,
        events: all('tbody tr').map(
          (row) =>
            `${data(row, 'index', 'pcr', 'status')} ${[...row.querySelectorAll('code')].map((code) => code.textContent).join(' ')}`,
        ),
        anchors: all('[data-anchor]').map((element) => data(element, 'anchor', 'source')),
        sentences: texts('.sentences li'),
        alerts: all('.alert[data-code]').map((element) => data(element, 'code')),
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}

export function launch(): Promise<Browser> {
  // Chromium has no sandbox of its own where it is started by root, as in a container; what it opens is our own page.
  return chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid?.() !== 0 });
}
