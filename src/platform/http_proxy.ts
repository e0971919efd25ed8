/**
 * Which proxy a request goes through, by the variables of the environment that all programs share.
 *
 * @module
 */

import { canonicalHost, parseIp } from "../base/address.ts";
import { nearnessOf } from "../base/networks.ts";

/** Reads a variable of the environment. */
export type Variables = (name: string) => string | undefined;

/**
 * Reads a variable of this process, if that is allowed.
 *
 * @param name Its name.
 * @returns Its value; `undefined` when there is none, and when it may not be read.
 */
export function systemVariables(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/**
 * Chooses the proxy for a URL: what `HTTP_PROXY` or `HTTPS_PROXY` names, or else `ALL_PROXY`, unless the host is this machine or
 * in `NO_PROXY`. The names may also be written in small letters.
 *
 * @param url Absolute.
 * @param variable Reads the environment.
 * @returns The proxy's URL, or `null` for a connection of our own.
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

/** A list of hosts, of domains, which stand for all below them, and `*`. */
function isListed(host: string, list: string): boolean {
  return list.split(",").some((entry) => {
    const name = entry.trim().toLowerCase().replace(/^\*?\./, "");
    return name === "*" || (name !== "" && (host === canonicalHost(name) || isBelow(host, name)));
  });
}

function isBelow(host: string, domain: string): boolean {
  return parseIp(host) === null && host.endsWith(`.${domain}`);
}
