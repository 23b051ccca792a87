import { expect, test } from 'vitest';
import * as logs from './index.ts';

test('the public names of measurement logs', () => {
  expect(Object.keys(logs).toSorted()).toEqual([
    'IMA_START',
    'ImaReplay',
    'MAX_FINAL_EVENTS_BYTES',
    'MAX_IMA_ENTRIES',
    'MAX_IMA_LINE_BYTES',
    'MAX_IMA_PATH_BYTES',
    'MAX_IMA_TEMPLATE_DATA_BYTES',
    'MAX_IMA_TEMPLATE_NAME_BYTES',
    'MAX_LOG_ALGORITHMS',
    'ccelIndexOfPcr',
    'matchImaLog',
    'mergeFinalEvents',
    'parseCcel',
    'parseCcelTable',
    'parseFinalEvents',
    'parseImaLine',
    'readImaText',
    'replayCcel',
  ]);
});
