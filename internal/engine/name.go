package engine

import (
	"math/rand/v2"
	"strconv"
)

// randomName chooses a container's name; later attempts add a number.
func randomName(attempt int) string {
	adjectives := [...]string{
		"able", "brisk", "calm", "clever", "crisp", "daring", "eager", "fair", "gentle", "hardy",
		"jolly", "keen", "kind", "lively", "lucky", "merry", "nimble", "patient", "plucky", "proud",
		"quick", "quiet", "ready", "salty", "sharp", "spry", "steady", "sturdy", "swift", "trusty",
		"upright", "wakeful", "wise", "zesty",
	}
	nouns := [...]string{
		"albatross", "anchor", "beacon", "bollard", "bosun", "bowsprit", "brig", "buoy", "capstan", "cleat",
		"clipper", "compass", "cutter", "davit", "dinghy", "dolphin", "fathom", "ferry", "galley", "halyard",
		"hawser", "helm", "jetty", "keel", "ketch", "lantern", "lugger", "mast", "mooring", "oar",
		"petrel", "pilot", "porpoise", "quay", "rudder", "schooner", "sextant", "skiff", "sloop", "spinnaker",
		"tender", "tiller", "trawler", "tug", "yawl",
	}
	name := adjectives[rand.IntN(len(adjectives))] + "_" + nouns[rand.IntN(len(nouns))] //nolint:gosec // a name, no secret
	if attempt > 0 {
		name += strconv.Itoa(rand.IntN(1000)) //nolint:gosec // a name, no secret
	}
	return name
}
