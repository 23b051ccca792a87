// Fields of a fact as they come back from where facts are kept: absent ones are empty, so that a rule never fails on them.
import type { FactValue } from '../inspection/inspector.ts';

export function textField(fact: FactValue, name: string): string {
  const value = fieldOf(fact, name);
  return typeof value === 'string' ? value : '';
}

export function numberField(fact: FactValue, name: string): number {
  const value = fieldOf(fact, name);
  return typeof value === 'number' ? value : 0;
}

export function flagField(fact: FactValue, name: string): boolean {
  return fieldOf(fact, name) === true;
}

export function listField(fact: FactValue, name: string): readonly FactValue[] {
  const value = fieldOf(fact, name);
  return isList(value) ? value : [];
}

function fieldOf(fact: FactValue, name: string): FactValue | undefined {
  return isRecord(fact) && Object.hasOwn(fact, name) ? fact[name] : undefined;
}

function isList(value: FactValue | undefined): value is readonly FactValue[] {
  return Array.isArray(value);
}

function isRecord(value: FactValue): value is Readonly<Record<string, FactValue>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function withField(fact: FactValue, name: string, value: FactValue): FactValue {
  return isRecord(fact) ? { ...fact, [name]: value } : fact;
}

export function withoutField(fact: FactValue, name: string): FactValue {
  return isRecord(fact) ? Object.fromEntries(Object.entries(fact).filter(([key]) => key !== name)) : fact;
}
