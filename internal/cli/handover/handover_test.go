package handover_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEarly holds the init function to its place: before the packages that a build does not need. A new import
// here, or in mountns, can move it behind them.
func TestEarly(t *testing.T) {
	program := filepath.Join(t.TempDir(), "deckhand")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/deckhand-engine/deckhand/cmd/deckhand")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), program, "version")
	run.Env = []string{"GODEBUG=inittrace=1"}
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, _, found := strings.Cut(string(out), "init github.com/deckhand-engine/deckhand/internal/cli/handover ")
	if !found {
		t.Fatalf("handover does not initialise:\n%s", out)
	}
	for _, late := range []string{"fmt", "encoding/json", "github.com/opencontainers/go-digest", "golang.org/x/sys/unix"} {
		if strings.Contains(before, "init "+late+" ") {
			t.Errorf("%s is initialised first:\n%s", late, before)
		}
	}
	// Alone, without deckhand-build beside it, `deckhand build` takes the long way and says what is missing.
	run = exec.CommandContext(t.Context(), program, "build", ".")
	run.Env = []string{"PATH=/nonexistent", "HOME=" + t.TempDir()}
	out, err = run.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "deckhand-build is neither beside this program nor in PATH") {
		t.Errorf("%v: %s", err, out)
	}
}
