import { expect, test } from 'vitest';
import * as logs from './index.ts';

test('the public names of measurement logs', () => {
  expect(Object.keys(logs).toSorted()).toEqual([
    'IMA_START',
    'ImaReplay',
    'MAX_DEVICE_PATH_NODES',
    'MAX_FINAL_EVENTS_BYTES',
    'MAX_IMA_ENTRIES',
    'MAX_IMA_LINE_BYTES',
    'MAX_IMA_PATH_BYTES',
    'MAX_IMA_TEMPLATE_DATA_BYTES',
    'MAX_IMA_TEMPLATE_NAME_BYTES',
    'MAX_LOG_ALGORITHMS',
    'MAX_SIGNATURES',
    'MAX_TAGS',
    'MAX_TAG_DEPTH',
    'ccelIndexOfPcr',
    'dataIsMeasured',
    'matchImaLog',
    'mergeFinalEvents',
    'parseCcel',
    'parseCcelTable',
    'parseDevicePath',
    'parseFinalEvents',
    'parseImaLine',
    'parseSignatureLists',
    'parseUefiVariable',
    'readImaText',
    'replayCcel',
    'standingOfData',
  ]);
});
