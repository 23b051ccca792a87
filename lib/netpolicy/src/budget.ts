// Steps that a computation may take: rules that may each stand can multiply with each other.
import { NetPolicyError } from './netpolicy-error.ts';

export class Budget {
  #left: number;
  readonly #what: string;

  constructor(steps: number, what: string) {
    this.#left = steps;
    this.#what = what;
  }

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0)
      throw new NetPolicyError('too-complex', 'rules', `${this.#what} multiply beyond what is allowed`);
  }
}
