// The public names of control/disks: disks that are imported from images.
export { Disks, type DisksParts } from './disks.ts';
