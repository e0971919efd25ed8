/**
 * Storage: verifies, writes and reads the data of a torrent, and keeps its resume state.
 *
 * @module
 */

export { NotWantedError, ResumeStateError, StorageError } from "./errors.ts";
export {
  type FileScan,
  type FileScanOptions,
  type LinkOut,
  scanFiles,
  type ScannedFile,
  type SourceFile,
} from "./file_scan.ts";
export { nothingIn, type SearchedPlace } from "./find_place.ts";
export { hasData, type HasDataOptions } from "./has_data.ts";
export { hashFiles, type HashFilesOptions } from "./hash_files.ts";
export { type FileTree, type HashedTrees, hashTrees, type HashTreesOptions } from "./hash_trees.ts";
export { type StorageFile, type StorageLayout } from "./layout.ts";
export { type StartMode } from "./resume_plan.ts";
export {
  type FileVerdict,
  type Verification,
  type VerifiedFile,
  verifyFiles,
  type VerifyFilesOptions,
} from "./verify_files.ts";
export { type MoveProgress, type OpenOptions, Storage, type StorageOptions } from "./storage.ts";
