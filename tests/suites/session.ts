/**
 * Sessions over real sockets and files.
 *
 * @module
 */

import "../session/blocklist_test.ts";
import "../session/session_changes_test.ts";
import "../session/create_torrent_test.ts";
import "../session/create_v2_test.ts";
import "../session/session_dht_test.ts";
import "../swarm/event_stream_test.ts";
import "../session/external_address_test.ts";
import "../session/session_file_faults_test.ts";
import "../session/session_hybrid_test.ts";
import "../session/session_twins_test.ts";
import "../session/session_incomplete_test.ts";
import "../session/session_magnet_test.ts";
import "../session/session_mapped_port_test.ts";
import "../session/session_merge_test.ts";
import "../session/session_names_test.ts";
import "../session/session_pause_test.ts";
import "../session/peer_sources_test.ts";
import "../session/reachability_test.ts";
import "../swarm/torrent_reader_test.ts";
import "../session/session_restore_test.ts";
import "../session/session_selection_test.ts";
import "../session/session_store_test.ts";
import "../session/session_test.ts";
import "../session/session_suspended_test.ts";
import "../session/session_torrent_life_test.ts";
import "../session/session_v2_liar_test.ts";
import "../session/session_v2_test.ts";
import "../session/session_hashes_test.ts";
import "../session/session_v2_web_seed_test.ts";
import "../session/session_waiting_test.ts";
