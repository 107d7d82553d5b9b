package harden_test

import "testing"

// TestOwned has an image without a shell whose data directory belongs to the user already: no command is needed.
func TestOwned(t *testing.T) {
	newHardening(service{
		noShell: true, files: "0755 9000:9000 /data/", programs: map[string]program{"/usr/bin/x": starting(writes("/data/f"))},
	}).prove(t, "volume /data")
}
