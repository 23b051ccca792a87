// The public names of @ringwall/host/network/openvswitch: a network whose machines are on a switch of their own.
export { OPENVSWITCH_PROGRAMS, type SwitchPlace } from './daemons.ts';
export { Switch } from './switch.ts';
export { SwitchWalls } from './walls.ts';
