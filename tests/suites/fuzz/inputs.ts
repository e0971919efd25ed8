/**
 * Inputs that are long, or hard on memory.
 *
 * @module
 */

import "../../fuzz/long_inputs_test.ts";
import "../../fuzz/memory_test.ts";
