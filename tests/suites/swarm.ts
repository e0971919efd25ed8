/**
 * Peers, pieces, and whole swarms in simulation.
 *
 * @module
 */

import "../peer/bandwidth_limiter_test.ts";
import "../peer/block_queue_test.ts";
import "../peer/flood_limit_test.ts";
import "../peer/peer_link_test.ts";
import "../peer/peer_test.ts";
import "../peer/exchange_handshakes_test.ts";
import "../peer/peer_hashes_test.ts";
import "../peer/client_name_test.ts";
import "../peer/message_rules_test.ts";
import "../peer/pipeline_depth_test.ts";
import "../peer/rate_meter_test.ts";
import "../simulation/dht/simulation_test.ts";
import "../simulation/planted_faults_test.ts";
import "../simulation/simulation_test.ts";
import "../swarm/choking/choker_test.ts";
import "../swarm/choking/super_seeding_test.ts";
import "../swarm/hashes/block_hash_fetch_test.ts";
import "../swarm/hashes/hash_server_test.ts";
import "../swarm/hashes/layer_fetch_test.ts";
import "../swarm/metadata/metadata_scheduler_test.ts";
import "../swarm/opening_queue_test.ts";
import "../swarm/peers/candidates_test.ts";
import "../swarm/peers/connection_manager_test.ts";
import "../swarm/peers/connection_quota_test.ts";
import "../swarm/peers/incoming_limits_test.ts";
import "../swarm/peers/peer_exchange_test.ts";
import "../swarm/peers/peer_listener_test.ts";
import "../swarm/peers/peer_priority_test.ts";
import "../swarm/peers/peer_set_test.ts";
import "../swarm/peers/shared_connections_test.ts";
import "../swarm/peers/turnover_test.ts";
import "../swarm/pieces/block_hashes_test.ts";
import "../swarm/pieces/block_stream_test.ts";
import "../swarm/pieces/buffer_pool_test.ts";
import "../swarm/pieces/endgame_test.ts";
import "../swarm/pieces/large_pieces_on_disk_test.ts";
import "../swarm/pieces/parole_test.ts";
import "../swarm/pieces/partial_piece_test.ts";
import "../swarm/pieces/piece_download_changes_test.ts";
import "../swarm/pieces/piece_download_property_test.ts";
import "../swarm/pieces/piece_download_test.ts";
import "../swarm/pieces/piece_download_trouble_test.ts";
import "../swarm/pieces/piece_picker_test.ts";
import "../swarm/pieces/time_critical_test.ts";
import "../swarm/pieces/wrong_blocks_test.ts";
import "../swarm/ticker_test.ts";
import "../swarm/waiting_test.ts";
import "../swarm/wanted_pieces_test.ts";
import "../swarm/web_seeds/web_files_test.ts";
import "../swarm/web_seeds/web_picker_test.ts";
import "../swarm/web_seeds/web_reply_test.ts";
import "../swarm/web_seeds/web_seed_test.ts";
