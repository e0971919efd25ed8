/**
 * The checksum CRC-32C of BEP 40 (peer priority) and BEP 42 (DHT node ids).
 *
 * @module
 */

/** Castagnoli polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = (byte & 1) === 1 ? (byte >>> 1) ^ POLYNOMIAL : byte >>> 1;
  return byte >>> 0;
});

/**
 * Computes the CRC-32C of bytes.
 *
 * @returns An unsigned 32-bit number.
 */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
