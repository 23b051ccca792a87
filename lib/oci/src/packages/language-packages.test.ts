// Packages of languages as their managers leave them, through the pass that an image takes.
import { describe, expect, it } from 'vitest';
import { makeImage, type MadeFile } from '../../testing/make-image.ts';
import { INSPECTORS } from '../inspection/catalogue.ts';
import { installedPackages, type ImagePackages } from './installed-packages.ts';

describe('installedPackages() of languages', () => {
  it.each<readonly [string, Readonly<Record<string, MadeFile>>, readonly string[]]>([
    [
      'npm: what is installed, by its own description',
      {
        'app/node_modules/express/package.json': '{"name":"express","version":"4.18.2","license":"MIT"}',
        'app/node_modules/@babel/core/package.json': '{"name":"@babel/core","version":"7.23.0"}',
        'app/node_modules/a/node_modules/b/package.json': '{"name":"b","version":"1.0.0"}',
        'app/node_modules/a/dist/package.json': '{"name":"inner","version":"9"}',
        'app/package.json': '{"name":"app","version":"1.0.0"}',
      },
      ['npm express 4.18.2', 'npm @babel/core 7.23.0', 'npm b 1.0.0'],
    ],
    [
      'PyPI: wheels, eggs, and files of distutils',
      {
        'usr/lib/python3/dist-packages/requests-2.31.0.dist-info/METADATA':
          'Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\nLicense: Apache 2.0\n\nName: other\n',
        'venv/lib/python3.11/site-packages/PyYAML-6.0.egg-info/PKG-INFO': 'Name: PyYAML\nVersion: 6.0\n',
        'usr/lib/python2.7/wsgiref.egg-info': 'Name: wsgiref\nVersion: 0.1.2\n',
      },
      ['pypi requests 2.31.0', 'pypi PyYAML 6.0', 'pypi wsgiref 0.1.2'],
    ],
    [
      'RubyGems: specifications, read and not run',
      {
        'usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.6.gemspec':
          'Gem::Specification.new do |s|\n  s.name = "rack".freeze\n  s.version = "2.2.6"\n  s.licenses = ["MIT".freeze]\nend\n',
        'usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec': '# nothing that can be read\n',
      },
      ['gem rack 2.2.6', 'gem json 2.6.1'],
    ],
    [
      'Composer: both forms of its list',
      {
        'app/vendor/composer/installed.json':
          '{"packages":[{"name":"symfony/http-kernel","version":"v5.4.19","license":["MIT"]}]}',
        'old/vendor/composer/installed.json': '[{"name":"twig/twig","version":"2.0.0"}]',
      },
      ['composer symfony/http-kernel v5.4.19', 'composer twig/twig 2.0.0'],
    ],
    [
      '.NET: packages, and neither the application nor its files',
      {
        'app/app.deps.json':
          '{"libraries":{"app/1.0.0":{"type":"project"},"Newtonsoft.Json/12.0.1":{"type":"package"},"System.X/4.0":{"type":"reference"}}}',
      },
      ['nuget Newtonsoft.Json 12.0.1'],
    ],
  ])('%s', (_what, files, expected) => {
    const { packages, unread } = packagesOf(files);
    expect(packages.map(({ type, name, version }) => `${type} ${name} ${version}`)).toEqual(expected);
    expect(unread).toEqual([]);
  });

  it('knows what came with a package of the distribution, wherever /usr was merged', () => {
    const metadata = 'Name: requests\nVersion: 2.28.1\n';
    const files = {
      'var/lib/dpkg/status': 'Package: python3-requests\nStatus: install ok installed\nVersion: 2.28.1+dfsg-1\n',
      'var/lib/dpkg/info/python3-requests.list':
        '/.\n/usr\n/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO\n',
      'usr/lib/python3/dist-packages/requests-2.28.1.egg-info/PKG-INFO': metadata,
      'usr/local/lib/python3.11/site-packages/requests-2.28.1.dist-info/METADATA': metadata,
    };
    const { packages } = packagesOf(files);
    expect(packages.filter(({ type }) => type === 'pypi').map(({ ownedBy }) => ownedBy)).toEqual([
      'python3-requests',
      '',
    ]);
  });

  it.each([
    ['app/node_modules/x/package.json', '{'],
    ['app/vendor/composer/installed.json', 'no'],
    ['app/x.deps.json', '\u0000'],
    ['x/y.dist-info/METADATA', 'nothing'],
    ['gems/specifications/x.gemspec', 'end'],
  ])('says that %s could not be read', (path, content) => {
    const { packages, unread } = packagesOf({ [path]: content });
    expect(packages).toEqual([]);
    expect(unread).toHaveLength(1);
  });

  it.each([['app/node_modules/x/package.json'], ['app/vendor/composer/installed.json'], ['app/x.deps.json']])(
    '%s may hold any JSON',
    (path) => {
      for (const content of [
        '1',
        'null',
        '[]',
        '[null,1,"x"]',
        '{"libraries":[1],"packages":{"a":1},"name":1,"version":[]}',
      ]) {
        expect(packagesOf({ [path]: content }).packages).toEqual([]);
      }
    },
  );
});

function packagesOf(files: Readonly<Record<string, MadeFile>>): ImagePackages {
  return installedPackages(makeImage({ layers: [files], inspectors: INSPECTORS }));
}
