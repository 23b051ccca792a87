// Joins the warden to what machines begin with that go on from a template: memory that the kernel has sealed, and devices without the
// TPM of the machine that they were saved of.
import { RingwallError } from '@ringwall/api';
import type { MachineTemplate, TemplateOrder } from '@ringwall/control/warden';
import { MemoryTemplate } from '@ringwall/host/memory';
import { withoutTpm } from '@ringwall/host/qemu';

export class HeldTemplate implements MachineTemplate {
  readonly memory: MemoryTemplate;
  readonly devices: Uint8Array;

  private constructor(memory: MemoryTemplate, devices: Uint8Array) {
    this.memory = memory;
    this.devices = devices;
  }

  static async hold({ bytes, fill, devices }: TemplateOrder): Promise<HeldTemplate> {
    const memory = await MemoryTemplate.make({ bytes, fill });
    try {
      return new HeldTemplate(memory, withoutTpm(devices()));
    } catch (error) {
      await memory[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The warden gives back what it was given. */
  static of(template: MachineTemplate): HeldTemplate {
    if (template instanceof HeldTemplate) return template;
    throw new RingwallError('internal', 'this template was not made here');
  }

  get bytes(): number {
    return this.memory.bytes;
  }

  heldBytes(): Promise<number> {
    return this.memory.heldBytes();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.memory[Symbol.asyncDispose]();
  }
}
