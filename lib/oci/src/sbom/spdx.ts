// SPDX 2.3 in JSON (ISO/IEC 5962 is 2.2.1): bills of materials written and read. https://spdx.github.io/spdx-spec/v2.3/
import type { ImagePackages } from '../packages/installed-packages.ts';
import { isLicenceExpression } from './licence-expression.ts';
import { listOf, recordOf, textAt, type JsonRecord } from '../json-value.ts';
import { openSbomReading, type ParsedSbom } from './read-sbom.ts';
import { componentsOf, createdOf, type SbomComponent, type SbomSubject } from './sbom.ts';

const ROOT_ID = 'SPDXRef-Image';
const OS_ID = 'SPDXRef-OperatingSystem';
const UNSAID = 'NOASSERTION';

export function renderSpdx(subject: SbomSubject, packages: ImagePackages): string {
  const components = componentsOf(packages).map((component, at) => ({ component, id: `SPDXRef-Package-${at + 1}` }));
  const { distribution } = packages;
  const system =
    distribution.id === ''
      ? []
      : [
          {
            SPDXID: OS_ID,
            name: distribution.id,
            versionInfo: distribution.version || distribution.codename,
            ...nothingSaid(),
            primaryPackagePurpose: 'OPERATING-SYSTEM',
          },
        ];
  const contained = [...system.map(() => OS_ID), ...components.map(({ id }) => id)];
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `urn:ringwall:sbom:${encodeURIComponent(subject.digest || subject.name)}`,
    creationInfo: { created: createdOf(subject), creators: ['Tool: ringwall'] },
    ...(packages.unread.length === 0
      ? {}
      : { comment: `incomplete: ${packages.unread.map(({ path, why }) => `${path}: ${why}`).join('; ')}` }),
    packages: [
      {
        SPDXID: ROOT_ID,
        name: subject.name,
        ...(subject.digest === '' ? {} : { versionInfo: subject.digest }),
        ...nothingSaid(),
        primaryPackagePurpose: 'CONTAINER',
      },
      ...system,
      ...components.map(({ component, id }) => packageOf(subject, component, id)),
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: ROOT_ID },
      ...contained.map((id) => ({ spdxElementId: ROOT_ID, relationshipType: 'CONTAINS', relatedSpdxElement: id })),
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function nothingSaid(): Readonly<Record<string, unknown>> {
  return {
    downloadLocation: UNSAID,
    filesAnalyzed: false,
    licenseConcluded: UNSAID,
    licenseDeclared: UNSAID,
    copyrightText: UNSAID,
  };
}

function packageOf(subject: SbomSubject, { found, purl }: SbomComponent, id: string): unknown {
  const { licence, concludedLicence = '' } = found;
  const said = isLicenceExpression(licence);
  const layer = subject.layers[found.layer];
  return {
    SPDXID: id,
    name: found.name,
    versionInfo: found.version,
    ...nothingSaid(),
    ...(said ? { licenseDeclared: licence } : {}),
    ...(isLicenceExpression(concludedLicence) ? { licenseConcluded: concludedLicence } : {}),
    ...(said || licence === '' ? {} : { licenseComments: licence }),
    sourceInfo: [`built from ${found.source} ${found.sourceVersion}`, `found in ${found.path}`]
      .concat(found.ownedBy === '' ? [] : [`part of ${found.ownedBy}`])
      .concat(layer === undefined || layer === '' ? [] : [`layer ${layer}`])
      .join('; '),
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  };
}

export function readSpdx(document: JsonRecord): ParsedSbom {
  const reading = openSbomReading('SPDX');
  for (const each of listOf(document['packages'])) {
    const found = recordOf(each);
    if (found === undefined) continue;
    const purpose = textAt(found, 'primaryPackagePurpose');
    if (purpose === 'OPERATING-SYSTEM') {
      reading.operatingSystem(textAt(found, 'name'), textAt(found, 'versionInfo'));
      continue;
    }
    const purls = listOf(found['externalRefs'])
      .map((reference) => recordOf(reference))
      .filter((reference) => textAt(reference, 'referenceType') === 'purl');
    const [, source = '', sourceVersion = ''] =
      /(?:^|; )built from (\S+) (\S+?)(?:;|$)/.exec(textAt(found, 'sourceInfo')) ?? [];
    const declared = textAt(found, 'licenseDeclared');
    reading.component({
      type: purpose,
      name: textAt(found, 'name'),
      version: textAt(found, 'versionInfo'),
      purl: textAt(purls[0], 'referenceLocator'),
      path: /(?:^|; )found in (.*?)(?:; |$)/.exec(textAt(found, 'sourceInfo'))?.[1] ?? '',
      licence: declared === UNSAID || declared === 'NONE' ? textAt(found, 'licenseComments') : declared,
      source,
      sourceVersion,
      module: '',
      ownedBy: /(?:^|; )part of (.*?)(?:; |$)/.exec(textAt(found, 'sourceInfo'))?.[1] ?? '',
    });
  }
  return reading.finish(textAt(document, 'name'));
}
