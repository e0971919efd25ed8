/**
 * How the work of decoders grows with the size of their input. A suite of its own, since code runs slowly while its
 * steps are counted.
 *
 * @module
 */

import "../../fuzz/growth_test.ts";
