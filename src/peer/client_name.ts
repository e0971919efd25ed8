/**
 * Names of BitTorrent clients, from their peer ids (BEP 20).
 *
 * @module
 */

/** Client names by the two letters of an Azureus-style peer id, `-XX1234-`. */
const AZUREUS: ReadonlyMap<string, string> = new Map(Object.entries({
  "7T": "aTorrent",
  AG: "Ares",
  AR: "Arctic",
  AT: "Artemis",
  AX: "BitPump",
  AZ: "Vuze",
  A2: "aria2",
  BC: "BitComet",
  BE: "BitTorrent SDK",
  BF: "BitFlu",
  BG: "BTG",
  BI: "BiglyBT",
  BR: "BitRocket",
  BT: "BitTorrent",
  BW: "BitWombat",
  CD: "Enhanced CTorrent",
  CT: "CTorrent",
  DE: "Deluge",
  DP: "Propagate",
  EB: "EBit",
  ES: "Electric Sheep",
  FD: "Free Download Manager",
  FL: "Flud",
  FW: "FrostWire",
  FX: "Freebox",
  HL: "Halite",
  KG: "KGet",
  KT: "KTorrent",
  LC: "LeechCraft",
  LT: "libtorrent",
  LW: "LimeWire",
  MG: "MediaGet",
  MK: "Meerkat",
  MO: "MonoTorrent",
  NE: "BT Next Evolution",
  PI: "PicoTorrent",
  qB: "qBittorrent",
  QD: "QQDownload",
  RA: "rain",
  RN: "rain",
  RZ: "RezTorrent",
  SB: "Swiftbit",
  SD: "Xunlei",
  SH: "Shoal",
  SP: "BitSpirit",
  ST: "SymTorrent",
  TB: "Torch",
  TE: "terasaur",
  TL: "Tribler",
  TN: "Torrent.NET",
  TR: "Transmission",
  TT: "TuoTu",
  TX: "Tixati",
  UL: "uLeecher!",
  UM: "uTorrent Mac",
  UT: "uTorrent",
  UE: "uTorrent Embedded",
  UW: "uTorrent Web",
  VG: "Vagaa",
  WD: "WebTorrent Desktop",
  WW: "WebTorrent",
  WY: "FireTorrent",
  XL: "Xunlei",
  XT: "XanTorrent",
  XF: "Xfplay",
  ZT: "ZipTorrent",
  lt: "rTorrent",
  rQ: "rqbit",
}));

/**
 * Returns the client that a peer id stands for.
 *
 * @param peerId 20 bytes.
 * @returns Name and version such as `Transmission 3.0.0`, or the empty string if the style is unknown.
 */
export function clientName(peerId: Uint8Array): string {
  const text = String.fromCharCode(...peerId.subarray(0, 8));
  const azureus = /^-([A-Za-z0-9]{2})([0-9A-Za-z]{3})[0-9A-Za-z.-]-$/.exec(text);
  if (azureus) {
    const name = AZUREUS.get(azureus[1]!) ?? azureus[1]!;
    const version = [...azureus[2]!].map(versionDigit).join(".");
    return `${name} ${version}`;
  }
  const dashed = /^(A2|M)-?(\d+)-(\d+)-(\d+)/.exec(String.fromCharCode(...peerId.subarray(0, 12)));
  if (dashed) return `${dashed[1] === "M" ? "BitTorrent" : "aria2"} ${dashed[2]}.${dashed[3]}.${dashed[4]}`;
  return "";
}

/** Decodes a digit: 0 to 9, then A for 10 and so on. Both cases are in use. */
function versionDigit(digit: string): string {
  return String(parseInt(digit, 36));
}
