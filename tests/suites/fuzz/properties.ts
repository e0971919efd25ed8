/**
 * Tests of which `deno task test` tries a part of the cases.
 *
 * @module
 */

import "../../base/fair_share_test.ts";
import "../../fuzz/planted_test.ts";
import "../../session/create_v2_test.ts";
import "../../simulation/dht/simulation_test.ts";
import "../../simulation/simulation_test.ts";
import "../../session/session_file_faults_test.ts";
import "../../session/session_names_test.ts";
import "../../session/session_torrent_life_test.ts";
import "../../session/session_v2_liar_test.ts";
import "../../storage/storage_aside_test.ts";
import "../../storage/move_files_test.ts";
import "../../storage/storage_operations_faults_test.ts";
import "../../storage/storage_operations_test.ts";
import "../../storage/storage_selection_faults_test.ts";
import "../../storage/storage_selection_test.ts";
import "../../storage/storage_faults_test.ts";
import "../../swarm/peers/connection_manager_test.ts";
import "../../swarm/peers/connection_quota_test.ts";
import "../../swarm/peers/shared_connections_test.ts";
import "../../swarm/pieces/large_pieces_on_disk_test.ts";
import "../../swarm/pieces/block_stream_test.ts";
import "../../swarm/pieces/piece_download_property_test.ts";
import "../../swarm/pieces/wrong_blocks_test.ts";
import "../../swarm/web_seeds/web_run_test.ts";
import "../../tracker/announcer_change_test.ts";
import "../../ui/dashboard_test.ts";
import "../../ui/live_region_test.ts";
