/**
 * Bytes, and the formats of torrents and messages.
 *
 * @module
 */

import "../base/abort_test.ts";
import "../base/address_test.ts";
import "../base/bitfield_test.ts";
import "../base/bytes_test.ts";
import "../base/crc32c_test.ts";
import "../base/plural_test.ts";
import "../base/fair_share_test.ts";
import "../base/info_hashes_test.ts";
import "../base/ip_ranges_test.ts";
import "../base/lru_map_test.ts";
import "../base/merkle_test.ts";
import "../base/networks_test.ts";
import "../base/read_budget_test.ts";
import "../base/secrets_test.ts";
import "../base/sha256_pair_test.ts";
import "../base/version_test.ts";
import "../bencode/decode_test.ts";
import "../bencode/encode_test.ts";
import "../bencode/property_test.ts";
import "../bencode/value_test.ts";
import "../fuzz/fuzz_test.ts";
import "../fuzz/planted_test.ts";
import "../metainfo/describe_test.ts";
import "../metainfo/encode_torrent_test.ts";
import "../metainfo/fixtures_test.ts";
import "../metainfo/magnet_test.ts";
import "../metainfo/malformed_test.ts";
import "../metainfo/odd_test.ts";
import "../metainfo/parse_test.ts";
import "../metainfo/property_test.ts";
import "../metainfo/safe_path_test.ts";
import "../metainfo/select_test.ts";
import "../metainfo/sources_test.ts";
import "../metainfo/symlinks_test.ts";
import "../metainfo/unique_paths_test.ts";
import "../metainfo/v2_test.ts";
import "../metainfo/v1_verifier_test.ts";
import "../metainfo/v2_verifier_test.ts";
import "../support/virtual_clock_test.ts";
import "../wire/dont_have_test.ts";
import "../wire/frame_reader_test.ts";
import "../wire/handshake_test.ts";
import "../wire/hash_messages_test.ts";
import "../wire/metadata_test.ts";
import "../wire/pex_test.ts";
