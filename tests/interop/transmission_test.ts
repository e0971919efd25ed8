import { testPairs } from "./pairs.ts";

testPairs("transmission");
