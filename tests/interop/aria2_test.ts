import { testPairs } from "./pairs.ts";

testPairs("aria2");
