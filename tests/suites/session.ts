/**
 * Sessions over real sockets and files.
 *
 * @module
 */

import "../session/blocklist_test.ts";
import "../session/changes_test.ts";
import "../session/create_torrent_test.ts";
import "../session/dht_test.ts";
import "../session/events_test.ts";
import "../session/external_address_test.ts";
import "../session/file_faults_test.ts";
import "../session/magnet_test.ts";
import "../session/mapped_port_test.ts";
import "../session/merge_test.ts";
import "../session/names_test.ts";
import "../session/pause_test.ts";
import "../session/peer_sources_test.ts";
import "../session/reachability_test.ts";
import "../session/reader_test.ts";
import "../session/restore_test.ts";
import "../session/selection_test.ts";
import "../session/session_store_test.ts";
import "../session/session_test.ts";
import "../session/suspended_test.ts";
import "../session/torrent_life_test.ts";
