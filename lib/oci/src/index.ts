// The public names of @ringwall/oci.

export { ASK_FROM, BLOCK_FROM, compileLookalikes, type Lookalikes, type NameVerdict } from './lookalikes/judge-name.ts';
export type { NamePart, PartFinding } from './lookalikes/finding.ts';
export type { NameLists } from './lookalikes/known-names.ts';
export { OCI_ERROR_CODES, OciError, type OciErrorCode } from './oci-error.ts';
export { unicodeHost } from './references/host.ts';
export {
  canonicalName,
  canonicalReference,
  DEFAULT_DOMAIN,
  DEFAULT_TAG,
  familiarName,
  familiarReference,
  MAX_REFERENCE_CHARACTERS,
  parseDigest,
  parseReference,
  withDefaultTag,
  type Digest,
  type Reference,
} from './references/reference.ts';
export {
  compareVersions,
  isAffected,
  MAX_VERSION_CHARACTERS,
  schemeOfEcosystem,
  type RangeEvent,
  type VersionScheme,
} from './versions/compare.ts';
export { parseDockerfile, type Dockerfile, type Stage } from './dockerfile/dockerfile.ts';
export { expandWord, type Expanded, type Variables } from './dockerfile/expand.ts';
export type { Flag, Heredoc, Instruction, Keyword, PlacedWord } from './dockerfile/instruction.ts';
export type { Comment, Directives, PlacedText, Position } from './dockerfile/logical-lines.ts';
export { parseShell } from './shell/parse.ts';
export type {
  CompoundCommand,
  Pipeline,
  Redirect,
  ShellCommand,
  ShellList,
  ShellWord,
  SimpleCommand,
} from './shell/nodes.ts';
export { pipelinesOf, simpleCommands } from './shell/walk.ts';
export {
  DOCKERFILE_RULES,
  judgeDockerfile,
  type DockerfileFinding,
  type JudgeOptions,
} from './dockerfile/rules/judge-dockerfile.ts';
export type { LabelType, Rule, RuleOptions, Severity } from './dockerfile/rules/rule.ts';
export { openLayerTree, type ImageFile, type LayerTree } from './layers/layer-tree.ts';
export type { EntryType, Hazard, TarEntry } from './layers/tar-entry.ts';
export { openTarReader, type ContentSink, type TarReader, type TarVisitor } from './layers/tar-reader.ts';
export { FINDING_SEVERITIES, type Finding, type FindingSeverity } from './inspection/finding.ts';
export {
  EMPTY_CONFIG,
  type ImageConfig,
  type ImageRule,
  type InspectedImage,
  type InspectedLayer,
  type PlacedFact,
} from './inspection/inspected-image.ts';
export type { Fact, FactFinisher, FactValue, Inspector } from './inspection/inspector.ts';
export { IMAGE_RULES, INSPECTORS } from './inspection/catalogue.ts';
export { decodeFindings, encodeFindings } from './inspection/verdict-record.ts';
export { inspectImage, judgeImage, sortFindings } from './inspection/inspect-image.ts';
export {
  countContents,
  openEntryInspection,
  openLayerInspection,
  type EntryInspection,
  type LayerContents,
  type LayerInspection,
} from './inspection/inspect-layer.ts';
export {
  LOGIN_INSPECTOR_ID,
  untriedPassword,
  withVerdict,
  type PasswordVerdict,
  type TriedPassword,
} from './findings/logins/login-inspector.ts';
export { guessesFor, type Guess } from './findings/logins/usual-passwords.ts';
export type { FindingRule } from './findings/finding-rule.ts';
export { sampleInspector, type Sample } from './findings/malware/samples.ts';
export { recognised, unscanned, type ScannerProgram } from './findings/malware/scanner-facts.ts';
export { renderYaraRules } from './findings/malware/yara-rules.ts';
export { FINDING_JUDGES, FINDING_RULES } from './findings/finding-rules.ts';
export { finishFacts, idsOf } from './inspection/finish-facts.ts';
export { checkBudget, checkUnpacked, type InspectionBudget } from './inspection/inspection-budget.ts';
export {
  columnsOf,
  contentsOf,
  decodeLayer,
  encodeLayer,
  RECORD_FORMAT,
  type LayerColumns,
} from './inspection/layer-record.ts';
export { indexTar, type IndexedFile, type TarIndex } from './layers/tar-index.ts';
export { describeLayers, parseImageConfig, type ParsedConfig } from './manifests/config.ts';
export { parseDockerArchive, type ArchivedImage } from './manifests/docker-archive.ts';
export { MAX_DOCUMENT_BYTES } from './manifests/json.ts';
export {
  choosePlatform,
  MANIFEST_TYPES,
  parseManifest,
  parsePlatform,
  shownPlatform,
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  type IndexEntry,
  type Platform,
} from './manifests/manifest.ts';
export { findAncestors, type Ancestor, type Ancestry, type KnownImage } from './inheritance/ancestors.ts';
export {
  plantTree,
  shareOf,
  type AncestorUpdate,
  type ImageTree,
  type SurveyedFinding,
  type SurveyedImage,
  type TreeNode,
} from './inheritance/image-tree.ts';
export { renderHtml } from './reports/html.ts';
export { reportStyle } from './reports/page.ts';
export { renderTreeHtml, type SurveyFailure } from './reports/tree-html.ts';
export { parseIgnoreList, type IgnoreEntry } from './reports/ignore-list.ts';
export { renderJunit } from './reports/junit.ts';
export { renderSarif } from './reports/sarif.ts';
export { compileReport, fails, findingId, type ReportedFinding, type ScanReport } from './reports/scan-report.ts';
export {
  ADVISORY_STATUSES,
  type Advisory,
  type AdvisoryStatus,
  type AffectedPackage,
  type VersionRange,
} from './advisories/advisory.ts';
export { sourceOfFeeds, type AdvisorySource, type PackageAdvisory } from './advisories/advisory-source.ts';
export { isCovered } from './advisories/feeds/alpine.ts';
export { FEED_KINDS, type FeedKind, type ParsedFeed } from './advisories/feeds/feed.ts';
export { parseFeed, type FeedDocument, type ParsedDocuments } from './advisories/feeds/parse-feed.ts';
export type { Priority } from './advisories/feeds/priorities.ts';
export {
  isVulnerabilityRule,
  judgeVulnerabilities,
  vulnerabilityRule,
  type Heeded,
} from './advisories/judge-vulnerabilities.ts';
export { MAX_VEX_BYTES, parseVex } from './advisories/vex/parse-vex.ts';
export type { VexStatement } from './advisories/vex/statement.ts';
export { DEFLATED, readZip, STORED, type ZipEntry } from './archives/zip.ts';
export type { JsonRecord } from './json-value.ts';
export {
  installedPackages,
  type ImagePackages,
  type InstalledPackage,
  type UnreadDatabase,
} from './packages/installed-packages.ts';
export type { Distribution } from './packages/os-release.ts';
export type { PackageFact, PackageType } from './packages/package-fact.ts';
export { renderCycloneDx } from './sbom/cyclonedx.ts';
export { parseSbom } from './sbom/parse-sbom.ts';
export { MAX_SBOM_BYTES, type ParsedSbom } from './sbom/read-sbom.ts';
export type { SbomSubject } from './sbom/sbom.ts';
export { renderLicences } from './sbom/licences.ts';
export { renderSpdx } from './sbom/spdx.ts';
export {
  effectiveSettings,
  parseServerConfiguration,
  type ServerDirective,
  type ServerSettings,
} from './findings/ssh/server-configuration.ts';
export { parseAttachment, parseReferrers, type Attachment, type Referrer } from './manifests/attachments.ts';
export { bundleOfCosignLayer, COSIGN_LAYER_TYPE, MAX_COSIGN_PAYLOAD_BYTES } from './signatures/cosign-layer.ts';
export { judgeSignatures, type GenuineSignature, type SignatureVerdict } from './signatures/judge-signatures.ts';
export { matchesPattern } from './signatures/pattern.ts';
export {
  entryFor,
  parseSignaturePolicy,
  SIGNED_BY_COSIGN,
  type PolicyEntry,
  type PolicyIdentity,
  type PolicySigner,
  type SignaturePolicy,
} from './signatures/signature-policy.ts';
export {
  parseSimpleSigning,
  parseStatement,
  STATEMENT_PAYLOAD_TYPE,
  type SignedClaim,
  type SignedSubject,
} from './signatures/signed-claim.ts';
