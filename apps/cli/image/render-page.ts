// The report as a page, whose style it names by its digest: a browser is to load nothing else.
import { createHash } from 'node:crypto';
import { renderHtml, reportStyle, type ScanReport } from '@ringwall/oci';

export function renderPage(report: ScanReport): string {
  return renderHtml(report, `sha256-${createHash('sha256').update(reportStyle()).digest('base64')}`);
}
