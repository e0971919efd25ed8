/**
 * The interface of all kinds of gateways.
 *
 * @module
 */

/** Transport protocol of a mapped port. */
export type PortProtocol = "tcp" | "udp";

/** A port mapping to request. */
export interface MappingRequest {
  /** Transport protocol. */
  readonly protocol: PortProtocol;
  /** Port on which we listen. */
  readonly internalPort: number;
  /** External port that we would like to have. */
  readonly externalPort: number;
  /** Requested lifetime in seconds. */
  readonly lifetime: number;
}

/** A port mapping as granted. */
export interface Mapping {
  /** Our external address as the gateway reports it; `null` if unknown. */
  readonly externalAddress: string | null;
  /** External port. */
  readonly externalPort: number;
  /** Granted lifetime in seconds; Infinity if the mapping is permanent. */
  readonly lifetime: number;
}

/** A gateway between this machine and the internet. */
export interface Gateway {
  /** Protocol of the gateway, as shown to users: `UPnP`, `NAT-PMP` or `PCP`. */
  readonly name: string;
  /** Address of the gateway. */
  readonly host: string;
  /**
   * Maps a port, or renews the mapping.
   *
   * @throws {PortMapError} If the gateway refuses or does not answer.
   */
  map(request: MappingRequest, signal: AbortSignal): Promise<Mapping>;
  /**
   * Removes a mapping, including one that an unanswered request may have created. Does nothing if there is no mapping.
   *
   * @throws {PortMapError} If the gateway refuses or does not answer.
   */
  unmap(request: MappingRequest, signal: AbortSignal): Promise<void>;
}
