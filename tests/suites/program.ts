/**
 * Commands, their output, streams, examples, and the rules of the repository.
 *
 * @module
 */

import "../architecture_test.ts";
import "../bench/process_usage_test.ts";
import "../bench/swarm_machine_test.ts";
import "../bench/swarm_options_test.ts";
import "../bench/swarm_table_test.ts";
import "../chart_test.ts";
import "../ci/picture_test.ts";
import "../ci/release_test.ts";
import "../cli/commands_test.ts";
import "../cli/completions_test.ts";
import "../cli/config_test.ts";
import "../cli/create_test.ts";
import "../cli/disk_space_test.ts";
import "../cli/on_complete_test.ts";
import "../cli/option_values_test.ts";
import "../cli/schema_test.ts";
import "../cli/share_test.ts";
import "../cli/shutdown_test.ts";
import "../cli/torrent_source_test.ts";
import "../cli/tracker_test.ts";
import "../cli/transfer_test.ts";
import "../cli/verify_test.ts";
import "../docs_test.ts";
import "../examples_test.ts";
import "../performance/counters_test.ts";
import "../performance/heap_test.ts";
import "../stream/response_test.ts";
import "../stream/stream_server_test.ts";
import "../suites_test.ts";
import "../ui/check_view_test.ts";
import "../ui/dashboard_test.ts";
import "../ui/format_test.ts";
import "../ui/json_text_test.ts";
import "../ui/live_region_test.ts";
import "../ui/table_test.ts";
import "../ui/text_test.ts";
import "../ui/views_test.ts";
