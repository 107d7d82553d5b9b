package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// expected is what one process may be told because another was there before.
var expected = regexp.MustCompile(`container (does not exist|with given ID already exists|not running)|cannot (start|signal|delete) |` +
	`the child died|hear from the child|open gate|being changed by another process`)

// TestOciParallel has several processes create, start, signal and delete the same containers. Whatever comes of it, nothing
// is left when they are deleted.
func TestOciParallel(t *testing.T) {
	need.Root(t)
	need.Program(t, "tar")
	dir := unpackBase(t)
	writeConfig(t, dir, comparable(func(s *specs.Spec) {
		s.Process.Args = []string{"/bin/sh", "-c", "while :; do sleep 0.01; done"}
	}))
	root := filepath.Join(t.TempDir(), "state")
	steps := [][]string{{"create"}, {"start"}, {"kill", "KILL"}, {"delete"}, {"create"}, {"state"}, {"delete", "-f"}, {"start"}}
	run := func(step []string, id string) {
		args := append([]string{"oci", "--root", root, step[0]}, id)
		if len(step) > 1 && step[1] == "-f" {
			args = slices.Insert(args, 4, "-f")
		} else {
			args = append(args, step[1:]...)
		}
		cmd := exec.CommandContext(t.Context(), "deckhand", args...)
		cmd.Dir = dir
		errors, err := os.CreateTemp(dir, "stderr") // not a pipe, which a container would keep open
		if err != nil {
			t.Error(err)
			return
		}
		defer errors.Close()
		cmd.Stderr = errors
		if cmd.Run() == nil {
			return
		}
		said, err := os.ReadFile(errors.Name())
		if err != nil || !expected.Match(said) {
			t.Errorf("%s: %s (%v)", strings.Join(args, " "), said, err)
		}
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 40 {
				run(steps[(i*(worker+1)+worker)%len(steps)], []string{"parallel-a", "parallel-b"}[(i/3+worker)%2])
			}
		})
	}
	wg.Wait()
	for _, id := range []string{"parallel-a", "parallel-b"} {
		run([]string{"delete", "-f"}, id)
		for _, cgroup := range []string{"/sys/fs/cgroup/deckhand/oci-" + id, "/sys/fs/cgroup/unified/deckhand/oci-" + id} {
			if _, err := os.Stat(cgroup); err == nil {
				t.Errorf("%s is left", cgroup)
			}
		}
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
