import { expect, test } from 'vitest';
import * as netpolicy from './index.ts';

test('the public names of @ringwall/netpolicy', () => {
  expect(Object.keys(netpolicy).toSorted()).toMatchInlineSnapshot(`
    [
      "DEFAULT_SHARE",
      "DROP_REASONS",
      "FINDING_KINDS",
      "GATEWAY_IPV4",
      "GATEWAY_IPV6",
      "LOG_GROUPS",
      "MAX_CHANGES",
      "MAX_MACHINES",
      "MAX_RULES",
      "NETPOLICY_ERROR_CODES",
      "NetPolicyError",
      "ReachModel",
      "TABLE",
      "UPLINK",
      "addressOf",
      "changeMachine",
      "compareNetworks",
      "compileNetwork",
      "findRuleTroubles",
      "isFar",
      "linkOf",
      "mapNetwork",
      "parseAddress",
      "parseFarMachines",
      "parseMachineLabels",
      "parseMachines",
      "parsePolicy",
      "parseRange",
      "parseService",
      "parseSingleService",
      "prefixesOf",
      "printEndpoint",
      "printRange",
      "printService",
      "rangesOverlap",
      "renderTable",
      "renderUpdate",
      "shareOf",
    ]
  `);
});
