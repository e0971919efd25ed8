/**
 * The checksum CRC-32C, which BEP 40 and BEP 42 mix addresses with.
 *
 * @module
 */

/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = (byte & 1) === 1 ? (byte >>> 1) ^ POLYNOMIAL : byte >>> 1;
  return byte >>> 0;
});

/**
 * The checksum CRC-32C.
 *
 * @param bytes Any bytes.
 * @returns 32 bits, unsigned.
 */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
