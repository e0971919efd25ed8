/**
 * Request and answer over UDP, with retransmission.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_GATEWAY_DATAGRAM } from "../base/defences.ts";
import type { Platform, Timer } from "../platform/platform.ts";

/** A request, and how to send it. */
export interface DatagramRequest<T> {
  /** Local address to send from. */
  readonly host: string;
  /** Address of the gateway. */
  readonly to: PeerAddress;
  /** The datagram to send. */
  readonly request: Bytes;
  /** Milliseconds to wait for an answer after each transmission. The request is sent once per element. */
  readonly waits: readonly number[];
  /** Cancels the request. */
  readonly signal: AbortSignal;
  /** Decodes an answer. Returns `null` for any other datagram, which is then ignored. An exception ends the request. */
  readonly read: (bytes: Uint8Array) => T | null;
}

/**
 * Sends a request, repeats it until it is answered, and ignores datagrams from other hosts.
 *
 * @returns The answer, or `null` if there was none or the request was cancelled.
 * @throws {unknown} Whatever `read` throws.
 */
export async function sendRequest<T>(
  platform: Pick<Platform, "after" | "net">,
  question: DatagramRequest<T>,
): Promise<T | null> {
  const { host, to, request, waits, signal } = question;
  if (signal.aborted) return null;
  const socket = platform.net.openUdp({ host, port: 0 });
  const close = () => socket.close();
  let timer: Timer | null = null;
  let asked = 0;
  const askAgain = () => {
    const wait = waits[asked++];
    if (wait === undefined) return close();
    void socket.send(request, to);
    timer = platform.after(wait, askAgain);
  };
  signal.addEventListener("abort", close, { once: true });
  askAgain();
  try {
    const into = new Uint8Array(MAX_GATEWAY_DATAGRAM);
    while (true) {
      const received = await socket.receive(into);
      if (received === null) return null;
      if (received.from.host !== to.host || received.from.port !== to.port) continue;
      const answer = question.read(into.subarray(0, received.length));
      if (answer !== null) return answer;
    }
  } finally {
    signal.removeEventListener("abort", close);
    (timer as Timer | null)?.cancel();
    close();
  }
}
