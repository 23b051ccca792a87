// The public names of host/advisories: the file of advisories of this host, and how it is filled and shipped.
export { exportBundle, importBundle, type BundleHeader } from './bundle.ts';
export { AdvisoryDatabase, type FeedChange, type FeedInfo } from './database.ts';
export { sourceOf } from './source.ts';
export { applyFeed, readFeed } from './update.ts';
