/**
 * Attacks with many connections, slow connections, or short connections.
 *
 * @module
 */

import { type Attack, pause } from "./attack.ts";
import { frame, handshake, ID } from "./words.ts";

const BOTH = ["leecher", "seeder"] as const;
const DIALS = ["dials"] as const;

/** Attacks that use up connections. */
export const CONNECTION_ATTACKS: readonly Attack[] = [
  {
    name: "2,000 connections that never speak",
    victims: BOTH,
    roles: DIALS,
    hosts: 20,
    lines: 100,
    named: /handshake/,
    run: (line) => line.drain(),
  },
  {
    name: "2,000 connections that say no word after the handshake",
    victims: BOTH,
    roles: DIALS,
    hosts: 500,
    lines: 4,
    named: null,
    legal: "somebody who has nothing and waits may be silent; it gives its place up when others come",
    run: async (line, stage) => {
      await stage.greet(line);
      await line.drain();
    },
  },
  {
    name: "a handshake of one byte a second",
    victims: BOTH,
    hosts: 4,
    named: /handshake|no answer/,
    patience: 11_000,
    run: async (line, stage) => {
      const bytes = handshake(stage.torrent.infoHash, { peerId: stage.peerId() });
      for (let at = 0; at < bytes.length && !line.closed; at++) {
        await line.send(bytes.subarray(at, at + 1));
        await pause(1000);
      }
    },
  },
  {
    name: "a frame of one byte a second",
    victims: BOTH,
    hosts: 2,
    named: /one message/,
    patience: 61_000,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      const bytes = frame(ID.extended, new Uint8Array(1000));
      for (let at = 0; !line.closed; at++) {
        await line.send(bytes.subarray(at % bytes.length, at % bytes.length + 1));
        await pause(1000);
      }
    },
  },
  {
    name: "nearly all of the longest message, and no more",
    victims: BOTH,
    hosts: 20,
    named: /one message/,
    patience: 61_000,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      await stage.send(line, frame(ID.extended, new Uint8Array(127 * 1024), 128 * 1024));
      await line.over;
    },
  },
  {
    name: "one byte a packet",
    victims: BOTH,
    named: /brings nothing/,
    run: async (line, stage) => {
      if (!await stage.greet(line)) return;
      void line.drain();
      while (!line.closed) await line.send(new Uint8Array(1));
    },
  },
  {
    name: "opens and closes as fast as it goes",
    victims: BOTH,
    roles: DIALS,
    hosts: 4,
    lines: 8,
    again: 0,
    named: /handshake|too often|cut|closed/i,
    run: (line) => {
      line.close({ reset: true });
      return line.over;
    },
  },
  {
    name: "opens, shakes hands and closes as fast as it goes",
    victims: BOTH,
    roles: DIALS,
    hosts: 4,
    lines: 4,
    again: 0,
    named: /closed|cut|too often/i,
    run: async (line, stage) => {
      await stage.greet(line);
      line.close();
    },
  },
  {
    name: "our own peer id",
    victims: BOTH,
    named: null,
    legal: "whoever connects to itself looks like that, and trackers make it happen",
    run: async (line, stage) => {
      // The attacker learns Shoal's peer id from the handshake of a first connection.
      await line.send(handshake(stage.torrent.infoHash, { peerId: stage.peerId() }));
      const opened = await line.readExactly(68);
      if (opened === null) return;
      const second = await stage.again(line.from);
      if (second === null) return;
      await second.send(handshake(stage.torrent.infoHash, { peerId: opened.subarray(48) }));
      await second.drain();
      line.close();
    },
  },
];
