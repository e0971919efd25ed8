/**
 * Gateways that speak UPnP IGD.
 *
 * @module
 */

import { fromUtf8Lossy } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import { MAX_GATEWAY_DOCUMENT } from "../base/defences.ts";
import { HttpError, type HttpRequest, type Platform } from "../platform/platform.ts";
import { PortMapError } from "./errors.ts";
import type { Gateway, Mapping, MappingRequest, PortProtocol } from "./gateway.ts";
import {
  addPortMapping,
  checkOutcome,
  deletePortMapping,
  getExternalAddress,
  IGD_ERROR,
  type IgdAction,
  type IgdService,
  parseDescription,
  parseExternalAddress,
} from "./igd.ts";

/** Timeout of one HTTP request in milliseconds. */
const TIMEOUT_MS = 3_000;
/** Number of other external ports to try when the requested port is taken. */
const OTHER_PORTS = 3;
/** First dynamic port, which any program may use (RFC 6335, section 6). */
const FIRST_DYNAMIC_PORT = 49_152;

/** Options for {@linkcode UpnpGateway.open}. */
export interface OpenUpnpGatewayOptions {
  /** URL of the gateway's device description. */
  readonly location: string;
  /** Our own address on the gateway's network. */
  readonly client: string;
  /** Cancels the request. */
  readonly signal: AbortSignal;
}

/** A UPnP gateway whose device description has been read. */
export class UpnpGateway implements Gateway {
  readonly name = "UPnP";
  readonly host: string;
  readonly #platform: Pick<Platform, "http" | "random">;
  readonly #service: IgdService;
  readonly #client: string;
  /** External port requested last, by protocol. */
  readonly #asked = new Map<PortProtocol, number>();

  private constructor(platform: Pick<Platform, "http" | "random">, options: { service: IgdService; client: string }) {
    this.#platform = platform;
    this.#service = options.service;
    this.#client = options.client;
    this.host = new URL(options.service.controlUrl).hostname;
  }

  /**
   * Reads a gateway's device description.
   *
   * @throws {PortMapError} If the description can't be fetched, or has no usable service.
   */
  static async open(
    platform: Pick<Platform, "http" | "random">,
    options: OpenUpnpGatewayOptions,
  ): Promise<UpnpGateway> {
    const { location, client, signal } = options;
    const { status, xml } = await request(platform, { url: location, bind: client, signal });
    if (status !== 200) throw new PortMapError(`its description has HTTP status ${status}`, { where: location });
    return new UpnpGateway(platform, { service: parseDescription(xml, location), client });
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping> {
    let lifetime = request.lifetime;
    let externalPort = this.#asked.get(request.protocol) ?? request.externalPort;
    for (let others = 0;;) {
      this.#asked.set(request.protocol, externalPort);
      try {
        await this.#act(
          addPortMapping(this.#service, { ...request, externalPort, lifetime, client: this.#client }),
          signal,
        );
        break;
      } catch (error) {
        const code = error instanceof PortMapError ? error.code : null;
        if (code === IGD_ERROR.onlyPermanent && lifetime !== 0) lifetime = 0;
        else if (code === IGD_ERROR.conflict && others++ < OTHER_PORTS) externalPort = this.#anyPort();
        else {
          // A refused mapping is not ours and must not be removed.
          if (code !== null) this.#asked.delete(request.protocol);
          throw error;
        }
      }
    }
    const externalAddress = parseExternalAddress(await this.#act(getExternalAddress(this.#service), signal));
    return { externalAddress, externalPort, lifetime: lifetime === 0 ? Infinity : lifetime };
  }

  async unmap({ protocol }: MappingRequest, signal: AbortSignal): Promise<void> {
    const externalPort = this.#asked.get(protocol);
    if (externalPort === undefined) return;
    try {
      await this.#act(deletePortMapping(this.#service, { protocol, externalPort }), signal);
    } catch (error) {
      if (!(error instanceof PortMapError) || error.code !== IGD_ERROR.noSuchEntry) throw error;
    }
    this.#asked.delete(protocol);
  }

  #anyPort(): number {
    return FIRST_DYNAMIC_PORT + Math.floor(this.#platform.random() * (65_536 - FIRST_DYNAMIC_PORT));
  }

  async #act({ headers, body }: IgdAction, signal: AbortSignal): Promise<string> {
    const url = this.#service.controlUrl;
    const how = { url, method: "POST", headers, body, bind: this.#client, signal } as const;
    const { status, xml } = await request(this.#platform, how);
    checkOutcome(status, xml);
    return xml;
  }
}

async function request(
  platform: Pick<Platform, "http">,
  how: Omit<HttpRequest, "timeout" | "maxBytes">,
): Promise<{ readonly status: number; readonly xml: string }> {
  try {
    const limits = { timeout: TIMEOUT_MS, maxBytes: MAX_GATEWAY_DOCUMENT };
    const { status, body } = await platform.http.request({ ...how, ...limits, trust: { by: "gateway" } });
    return { status, xml: fromUtf8Lossy(body) };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    throw new PortMapError(messageOf(error), { where: how.url, cause: error });
  }
}
