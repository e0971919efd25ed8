/**
 * Port mapping on gateways, so that peers can connect to us (UPnP IGD, NAT-PMP, PCP).
 *
 * @module
 */

export type { PortMapError } from "./errors.ts";
export type { Gateway, Mapping, PortProtocol } from "./gateway.ts";
export { PortKeeper } from "./port_keeper.ts";
