import { describe, expect, it } from 'vitest';
import { FINDING_RULES } from './finding-rules.ts';

describe('the rules about finished images', () => {
  it('have ids of their own', () => {
    expect(new Set(FINDING_RULES.map(({ id }) => id)).size).toBe(FINDING_RULES.length);
    for (const { id } of FINDING_RULES) expect(id).toMatch(/^[a-z]+(?:-[a-z]+)*$/);
  });

  it('give a reason, a way out and a reference that can be looked up', () => {
    for (const { id, title, reason, fix, references } of FINDING_RULES) {
      expect(title, id).toMatch(/^\S.{10,120}[^.]$/);
      expect(reason, id).toMatch(/^\S.{20,200}[^.]$/);
      expect(fix, id).toMatch(/^\S.{8,250}$/);
      expect(references.length, id).toBeGreaterThan(0);
      for (const each of references) {
        expect(each, id).toMatch(
          /^(?:CWE-\d+|CVE-\d{4}-\d+|ATT&CK T\d{4}(?:\.\d{3})?|CIS Docker \d\.\d+|https:\/\/\S+)$/,
        );
      }
    }
  });
});
