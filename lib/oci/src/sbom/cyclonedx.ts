// CycloneDX 1.6 in JSON (ECMA-424): bills of materials written and read. https://cyclonedx.org/docs/1.6/json/
import type { ImagePackages } from '../packages/installed-packages.ts';
import { listOf, recordOf, textAt, type JsonRecord } from '../json-value.ts';
import { openSbomReading, type ParsedSbom } from './read-sbom.ts';
import { isLicenceExpression } from './licence-expression.ts';
import { componentsOf, createdOf, type SbomComponent, type SbomSubject } from './sbom.ts';

const ROOT_REFERENCE = 'image';
const OS_REFERENCE = 'operating-system';

export function renderCycloneDx(subject: SbomSubject, packages: ImagePackages): string {
  const components = componentsOf(packages);
  const { distribution } = packages;
  const system =
    distribution.id === ''
      ? []
      : [
          {
            'bom-ref': OS_REFERENCE,
            type: 'operating-system',
            name: distribution.id,
            version: distribution.version || distribution.codename,
            description: distribution.name,
          },
        ];
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: createdOf(subject),
      tools: { components: [{ type: 'application', name: 'ringwall' }] },
      component: {
        'bom-ref': ROOT_REFERENCE,
        type: 'container',
        name: subject.name,
        ...(subject.digest === '' ? {} : { version: subject.digest }),
      },
    },
    components: [...system, ...components.map((each) => componentOf(subject, each))],
    dependencies: [
      {
        ref: ROOT_REFERENCE,
        dependsOn: [...system.map(() => OS_REFERENCE), ...components.map(({ reference }) => reference)],
      },
    ],
    // What is missing is said: a bill that could not be made whole must not be read as one that is.
    compositions: [
      { aggregate: packages.unread.length === 0 ? 'complete' : 'incomplete', assemblies: [ROOT_REFERENCE] },
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function componentOf(subject: SbomSubject, { found, purl, reference }: SbomComponent): unknown {
  const licence = found.licence || (found.concludedLicence ?? '');
  // Of 1.6: what the package says itself, and what somebody read out of its texts.
  const acknowledgement = found.licence === '' ? 'concluded' : 'declared';
  const properties = [
    ['ringwall:layer', subject.layers[found.layer] ?? ''],
    ['ringwall:source', `${found.source} ${found.sourceVersion}`],
    ['ringwall:module', found.module],
    ['ringwall:part-of', found.ownedBy],
  ].filter(([, value]) => value !== '');
  return {
    'bom-ref': reference,
    type: 'library',
    name: found.name,
    version: found.version,
    purl,
    ...(licence === ''
      ? {}
      : {
          licenses: isLicenceExpression(licence)
            ? [{ expression: licence, acknowledgement }]
            : [{ license: { name: licence, acknowledgement } }],
        }),
    ...(found.path === '' ? {} : { evidence: { occurrences: [{ location: found.path }] } }),
    properties: properties.map(([name, value]) => ({ name, value })),
  };
}

/** Components within components are as deep as somebody else wants. */
const MAX_DEPTH = 32;

export function readCycloneDx(document: JsonRecord): ParsedSbom {
  const reading = openSbomReading('CycloneDX');
  const walk = (components: readonly unknown[], depth: number): void => {
    reading.checkDepth(depth, MAX_DEPTH);
    for (const each of components) {
      const component = recordOf(each);
      if (component === undefined) continue;
      readComponent(component, reading);
      walk(listOf(component['components']), depth + 1);
    }
  };
  walk(listOf(document['components']), 0);
  const subject = recordOf(recordOf(document['metadata'])?.['component']);
  return reading.finish(textAt(subject, 'name'));
}

function readComponent(component: JsonRecord, reading: ReturnType<typeof openSbomReading>): void {
  const type = textAt(component, 'type');
  if (type === 'operating-system') {
    reading.operatingSystem(textAt(component, 'name'), textAt(component, 'version'));
    return;
  }
  const properties = new Map(
    listOf(component['properties']).map((each): [string, string] => {
      const property = recordOf(each);
      return [textAt(property, 'name'), textAt(property, 'value')];
    }),
  );
  const occurrences = listOf(recordOf(component['evidence'])?.['occurrences']);
  reading.component({
    type,
    name: textAt(component, 'name'),
    version: textAt(component, 'version'),
    purl: textAt(component, 'purl'),
    path: textAt(recordOf(occurrences[0]), 'location'),
    licence: licenceOf(component),
    ...sourceOf(properties),
    module: properties.get('ringwall:module') ?? properties.get('aquasecurity:trivy:Modularitylabel') ?? '',
    ownedBy: properties.get('ringwall:part-of') ?? '',
  });
}

function licenceOf(component: JsonRecord): string {
  const names = listOf(component['licenses']).map((each) => {
    const choice = recordOf(each);
    const licence = recordOf(choice?.['license']);
    return textAt(choice, 'expression') || textAt(licence, 'id') || textAt(licence, 'name');
  });
  return names.filter((name) => name !== '').join(' AND ');
}

/** Ours, and Trivy's, which has version, release and epoch apart. */
function sourceOf(properties: ReadonlyMap<string, string>): {
  readonly source: string;
  readonly sourceVersion: string;
} {
  const [source = '', sourceVersion = ''] = properties.get('ringwall:source')?.split(' ') ?? [];
  if (source !== '') return { source, sourceVersion };
  const trivy = (name: string): string => properties.get(`aquasecurity:trivy:${name}`) ?? '';
  const epoch = trivy('SrcEpoch') === '' || trivy('SrcEpoch') === '0' ? '' : `${trivy('SrcEpoch')}:`;
  const release = trivy('SrcRelease') === '' ? '' : `-${trivy('SrcRelease')}`;
  const version = trivy('SrcVersion');
  return { source: trivy('SrcName'), sourceVersion: version === '' ? '' : `${epoch}${version}${release}` };
}
