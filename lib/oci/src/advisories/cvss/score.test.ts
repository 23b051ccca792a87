import { expect, it } from 'vitest';
import { scoreCvss3, severityOfScore } from './score.ts';

// Scores as FIRST publishes them in "CVSS v3.1 Examples", and of widely known vulnerabilities at NVD.
it.each([
  ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H', 10, 'critical'],
  ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N', 7.5, 'high'],
  ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', 9.8, 'critical'],
  ['CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N', 6.4, 'medium'],
  ['CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N', 6.1, 'medium'],
  ['CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H', 7.8, 'high'],
  ['CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N', 3.1, 'low'],
  ['CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N', 0, 'info'],
] as const)('scoreCvss3(%s) is %d, %s', (vector, score, severity) => {
  expect(scoreCvss3(vector)).toBe(score);
  expect(severityOfScore(score)).toBe(severity);
});

it.each([[''], ['CVSS:4.0/AV:N'], ['CVSS:3.1/AV:N/AC:L'], ['CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H'], ['7.5']])(
  'scoreCvss3(%j) is undefined',
  (vector) => expect(scoreCvss3(vector)).toBeUndefined(),
);
