/**
 * What every kind of gateway is to the rest of the house.
 *
 * @module
 */

/** A transport protocol that a gateway maps ports of. */
export type PortProtocol = "tcp" | "udp";

/** What is asked of a gateway. */
export interface MappingRequest {
  /** Which kind of port. */
  readonly protocol: PortProtocol;
  /** The port on which we listen. */
  readonly internalPort: number;
  /** The port that we would like to have outside. */
  readonly externalPort: number;
  /** Seconds for which it is to hold. */
  readonly lifetime: number;
}

/** What a gateway has granted. */
export interface Mapping {
  /** Our address outside, as the gateway says; `null` when it does not say. */
  readonly externalAddress: string | null;
  /** The port outside. */
  readonly externalPort: number;
  /** Seconds for which it holds; Infinity when it holds until it is removed. */
  readonly lifetime: number;
}

/** A device between us and the outside that was found. */
export interface Gateway {
  /** How one talks to it, for users: `UPnP`, `NAT-PMP` or `PCP`. */
  readonly name: string;
  /** Its address. */
  readonly host: string;
  /**
   * Maps a port, or renews the mapping.
   *
   * @throws {PortMapError} If the gateway refuses or is silent.
   */
  map(request: MappingRequest, signal: AbortSignal): Promise<Mapping>;
  /**
   * Removes what was mapped, or may have been by a request that was not answered; harmless when there is nothing.
   *
   * @throws {PortMapError} If the gateway refuses or is silent.
   */
  unmap(request: MappingRequest, signal: AbortSignal): Promise<void>;
}
