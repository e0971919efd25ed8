/**
 * Files on disk, whatever fails.
 *
 * @module
 */

// First: a PieceWriter that a test kills never gives back the buffers that all PieceWriters share to merge writes.
import "../storage/piece_writer_test.ts";

import "../storage/storage_aligned_test.ts";
import "../storage/storage_aside_test.ts";
import "../storage/checker_test.ts";
import "../storage/checker_threads_test.ts";
import "../storage/file_names_test.ts";
import "../storage/file_scan_test.ts";
import "../storage/folder_locks_test.ts";
import "../storage/has_data_test.ts";
import "../storage/layout_test.ts";
import "../storage/move_files_test.ts";
import "../storage/open_files_test.ts";
import "../storage/storage_operations_faults_test.ts";
import "../storage/storage_operations_test.ts";
import "../storage/read_cache_test.ts";
import "../storage/resume_plan_test.ts";
import "../storage/resume_keeper_test.ts";
import "../storage/resume_state_test.ts";
import "../storage/storage_selection_faults_test.ts";
import "../storage/storage_selection_test.ts";
import "../storage/storage_disk_test.ts";
import "../storage/storage_faults_test.ts";
import "../storage/storage_others_test.ts";
import "../storage/storage_test.ts";
import "../storage/verify_files_test.ts";
