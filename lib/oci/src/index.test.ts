import { expect, test } from 'vitest';
import * as oci from './index.ts';

test('the public names of @ringwall/oci', () => {
  expect(Object.keys(oci).toSorted()).toEqual([
    'ASK_FROM',
    'BLOCK_FROM',
    'DEFAULT_DOMAIN',
    'DEFAULT_TAG',
    'DOCKERFILE_RULES',
    'FINDING_SEVERITIES',
    'MAX_REFERENCE_CHARACTERS',
    'MAX_VERSION_CHARACTERS',
    'OCI_ERROR_CODES',
    'OciError',
    'canonicalName',
    'canonicalReference',
    'compareVersions',
    'compileLookalikes',
    'expandWord',
    'familiarName',
    'familiarReference',
    'isAffected',
    'judgeDockerfile',
    'openLayerTree',
    'openTarReader',
    'parseDigest',
    'parseDockerfile',
    'parseReference',
    'parseShell',
    'pipelinesOf',
    'schemeOfEcosystem',
    'simpleCommands',
    'unicodeHost',
    'withDefaultTag',
  ]);
});
