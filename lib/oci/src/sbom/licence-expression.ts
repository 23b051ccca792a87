// Whether what a package says of its licence is an expression of SPDX (SPDX 2.3, annex D), which both formats keep apart from
// free text. The list is of identifiers that packages use; what is not on it is written as text, which is never wrong.

const IDENTIFIERS: ReadonlySet<string> = new Set(
  `0BSD AFL-2.1 AGPL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-2.0 BlueOak-1.0.0
  BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-4-Clause BSD-4-Clause-UC BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0
  CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 curl EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FSFUL FSFULLR FTL GFDL-1.1-or-later
  GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-1.0 GPL-1.0-only GPL-1.0-or-later GPL-2.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0 GPL-3.0-only
  GPL-3.0-or-later HPND ICU IJG Info-ZIP ISC JSON LGPL-2.0 LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0 LGPL-3.0-only
  LGPL-3.0-or-later Libpng libpng-2.0 libtiff MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA NTP OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.01
  PostgreSQL PSF-2.0 Python-2.0 Ruby SISSL Sleepycat TCL TCP-wrappers Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C WTFPL
  X11 Zlib ZPL-2.1 Bison-exception-2.2 Classpath-exception-2.0 GCC-exception-3.1 LLVM-exception OpenSSL-exception`.split(
    /\s+/,
  ),
);

export function isLicenceExpression(text: string): boolean {
  let depth = 0;
  let expectsLicence = true;
  for (const token of text.match(/[()]|[^\s()]+/g) ?? []) {
    if (token === '(') {
      if (!expectsLicence) return false;
      depth += 1;
    } else if (token === ')') {
      if (expectsLicence || depth === 0) return false;
      depth -= 1;
    } else if (expectsLicence) {
      if (!IDENTIFIERS.has(token.replace(/\+$/, ''))) return false;
      expectsLicence = false;
    } else {
      if (token !== 'AND' && token !== 'OR' && token !== 'WITH') return false;
      expectsLicence = true;
    }
  }
  return depth === 0 && !expectsLicence;
}
