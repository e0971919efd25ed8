/**
 * Chooses the proxy for a request by the usual environment variables.
 *
 * @module
 */

import { canonicalHost, parseIp } from "../base/address.ts";
import { nearnessOf } from "../base/networks.ts";

/** Reads an environment variable. */
export type Variables = (name: string) => string | undefined;

/**
 * Reads an environment variable of this process, if that is permitted.
 *
 * @param name Name of the variable.
 * @returns The value. `undefined` if the variable is not set or may not be read.
 */
export function systemVariables(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/**
 * Chooses the proxy for a URL: the one in `HTTP_PROXY` or `HTTPS_PROXY`, or else `ALL_PROXY`, unless the host is this
 * machine or in `NO_PROXY`. The names may also be in lower case.
 *
 * @param url Absolute URL.
 * @param variable Reads the environment.
 * @returns URL of the proxy, or `null` for a direct connection.
 */
export function proxyFor(url: URL, variable: Variables): string | null {
  const either = (name: string) => variable(name) || variable(name.toLowerCase()) || null;
  const proxy = either(url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY") ?? either("ALL_PROXY");
  if (proxy === null) return null;
  const host = canonicalHost(url.hostname.replace(/^\[|\]$/g, "")).replace(/\.$/, "").toLowerCase();
  if (isThisMachine(host) || isListed(host, either("NO_PROXY") ?? "")) return null;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

function isThisMachine(host: string): boolean {
  return /^(?:.+\.)?localhost$/.test(host) || (parseIp(host) !== null && nearnessOf(host) === "self");
}

/** Matches a host against a list of hosts, of domains with all their subdomains, and `*`. */
function isListed(host: string, list: string): boolean {
  return list.split(",").some((entry) => {
    const name = entry.trim().toLowerCase().replace(/^\*?\./, "");
    return name === "*" || (name !== "" && (host === canonicalHost(name) || isBelow(host, name)));
  });
}

function isBelow(host: string, domain: string): boolean {
  return parseIp(host) === null && host.endsWith(`.${domain}`);
}
