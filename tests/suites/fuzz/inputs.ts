/**
 * Inputs that are long, or hard on memory.
 *
 * @module
 */

import "../../fuzz/file_tree_limits_test.ts";
import "../../fuzz/long_inputs_test.ts";
import "../../fuzz/memory_test.ts";
