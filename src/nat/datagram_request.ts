/**
 * A question by datagram, asked again until it is answered.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_GATEWAY_DATAGRAM } from "../base/defences.ts";
import type { Platform, Timer } from "../platform/platform.ts";

/** A question. */
export interface DatagramRequest<T> {
  /** Local address. */
  readonly host: string;
  /** Whom to ask. */
  readonly to: PeerAddress;
  /** What to say. */
  readonly request: Bytes;
  /** Milliseconds to wait after each time that it is said. */
  readonly waits: readonly number[];
  /** Gives up. */
  readonly signal: AbortSignal;
  /** Reads an answer; `null` for a datagram that is none, so that the waiting goes on. What it throws ends the question. */
  readonly read: (bytes: Uint8Array) => T | null;
}

/**
 * Asks, and asks again. What others than the one who was asked send is not looked at.
 *
 * @param platform Sockets and time.
 * @param question What is asked.
 * @returns The answer; `null` if there was none, or it was given up.
 * @throws {unknown} What `read` throws.
 */
export async function ask<T>(
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
