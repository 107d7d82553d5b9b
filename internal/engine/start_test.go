package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/oci"
)

// newSandbox is a container of a layer that has users but no programs.
func newSandbox(t *testing.T) *Sandbox {
	t.Helper()
	layer, base := t.TempDir(), t.TempDir()
	for _, dir := range []string{layer + "/etc", layer + "/data", base + "/upper", base + "/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(layer+"/etc/passwd", []byte("app:x:1000:1000::/home/app:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return &Sandbox{
		ID: NewID(), Lower: []string{layer},
		UpperBase: base, Upper: base + "/upper", Work: base + "/work",
		Options: oci.SpecOptions{Args: []string{"/nosuch"}, Hostname: "box"},
	}
}

// Whatever goes wrong, no cgroup, id range or file is left.
func TestStartLeavesNothing(t *testing.T) {
	need.Root(t)
	refused := errors.New("refused")
	tests := map[string]struct {
		change func(*Sandbox)
		err    string
	}{
		"unknown user":       {func(s *Sandbox) { s.User = "nosuch" }, "unable to find user nosuch: no matching entries in passwd file"},
		"refused user":       {func(s *Sandbox) { s.CheckUser = func(oci.User) error { return refused } }, "refused"},
		"unmapped user":      {func(s *Sandbox) { s.User = "65536" }, "id 65536 cannot be used: a container has the ids 0-65535"},
		"unmapped group":     {func(s *Sandbox) { s.GroupAdd = []string{"70000"} }, "id 70000 cannot be used: a container has the ids 0-65535"},
		"missing layer":      {func(s *Sandbox) { s.Lower[0] += "-not" }, "-"},
		"unknown capability": {func(s *Sandbox) { s.Options.CapAdd = []string{"nosuch"} }, "-"},
		"missing command":    {func(*Sandbox) {}, "-"},
		"refused to watch":   {func(s *Sandbox) { s.Attach = func(int) error { return refused } }, "refused"},
		"missing source": {func(s *Sandbox) {
			s.Options.Mounts = append(s.Options.Mounts, Volume{Path: "/data", Dir: "/nosuch"}.mount())
		}, "-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, s := newEngine(t), newSandbox(t)
			tt.change(s)
			r, err := e.Start(t.Context(), s)
			if err == nil {
				_, _ = r.Wait(t.Context())
				t.Fatal("it started")
			}
			if tt.err != "-" && err.Error() != tt.err {
				t.Errorf("error %q, want %q", err, tt.err)
			}
			if _, err := cgroup.Open(s.ID); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its cgroup: %v", err)
			}
			if owned := rangesOf(t, os.Getpid()); len(owned) > 0 {
				t.Errorf("id ranges: %v", owned)
			}
			if diff := cmp.Diff([]string(nil), tree(t, s.Upper)); diff != "" {
				t.Error(diff)
			}
			if _, err := os.Stat(filepath.Join(s.UpperBase, "stub")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its mount targets: %v", err)
			}
		})
	}
}

// rangesOf lists the id ranges' files that pid has open.
func rangesOf(t *testing.T, pid int) []string {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		if p, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.Contains(p, "/deckhand/ids/") {
			open = append(open, p)
		}
	}
	return open
}

func TestStartMissingCommand(t *testing.T) {
	need.Root(t)
	_, err := newEngine(t).Start(t.Context(), newSandbox(t))
	var cmd *runtime.CommandError
	if !errors.As(err, &cmd) || cmd.Code != 127 {
		t.Errorf("error %v", err)
	}
}
