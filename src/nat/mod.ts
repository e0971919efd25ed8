/**
 * Gateways: has them let peers through to us (UPnP IGD, NAT-PMP, PCP). The front door of the room.
 *
 * @module
 */

export type { PortMapError } from "./errors.ts";
export type { Gateway, Mapping, PortProtocol } from "./gateway.ts";
export { PortKeeper } from "./port_keeper.ts";
