import { testPairs } from "./pairs.ts";

testPairs("libtorrent");
