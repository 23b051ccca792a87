// Templates of the mind: memory and devices in arrays, for as long as they are held.
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RingwallError } from '@ringwall/api';
import type { MachineTemplate, TemplateOrder } from '../parts.ts';

/** Of memory, what is looked at. */
const BEGINNING_BYTES = 2 ** 20;

export interface TemplateContents {
  readonly memory: Uint8Array;
  readonly devices: Uint8Array;
}

export class FakeTemplates {
  readonly held = new Map<MachineTemplate, TemplateContents>();
  readonly #dir: string;
  readonly #effect: (name: string) => Promise<void>;

  constructor(dir: string, effect: (name: string) => Promise<void>) {
    this.#dir = dir;
    this.#effect = effect;
  }

  async hold({ bytes, fill, devices }: TemplateOrder): Promise<MachineTemplate> {
    await this.#effect('vmm.holdTemplate');
    const path = join(this.#dir, 'template');
    await using file = await open(path, 'w+');
    await file.truncate(bytes);
    await fill(file.fd);
    const memory = Buffer.alloc(Math.min(bytes, BEGINNING_BYTES));
    await file.read(memory, 0, memory.length, 0);
    await rm(path);
    const template: MachineTemplate = {
      bytes,
      heldBytes: async () => memory.length,
      [Symbol.asyncDispose]: async () => {
        this.held.delete(template);
        await this.#effect('template.released');
      },
    };
    this.held.set(template, { memory, devices: devices() });
    return template;
  }

  /** What a machine goes on from. */
  contentsOf(template: MachineTemplate): TemplateContents {
    const contents = this.held.get(template);
    if (contents === undefined) throw new RingwallError('internal', 'this template is held no more');
    return contents;
  }
}
