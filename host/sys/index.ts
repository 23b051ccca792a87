// The public names of @ringwall/host/sys: what this host protects, has, and runs.
export { hostFindings, type FindingsOptions } from './findings.ts';
export { realHost, type HostView } from './host-view.ts';
export { readCapacity, readProcessInfo, type HostCapacity, type ProcessInfo } from './capacity.ts';
