package hardencmd

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/observe"
)

// remember opens the memory as the command does.
func (s *shop) remember(o *hardenOptions) *outcomes {
	s.t.Helper()
	if o.workshop == nil {
		o.workshop = &workshop{now: time.Now}
	}
	m, err := o.memory(s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func TestOutcomes(t *testing.T) {
	s := newShop(t)
	passed := &harden.Outcome{
		Passed: true, Stage: harden.StageDone, Output: "ready\n", Ready: time.Second,
		Record: &observe.Record{Syscalls: map[string]uint64{"read": 2}, Calls: []observe.Call{{Syscall: "openat", Errno: 13}}},
	}
	s.remember(&hardenOptions{}).Keep("a key", passed)
	m := s.remember(&hardenOptions{})
	if d := cmp.Diff(passed, m.Recall("a key")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	m.Keep("its own", passed)
	if m.Recall("its own") == nil {
		t.Error("what was just kept is not recalled")
	}
	if got := m.Recall("another key"); got != nil || m.recalled() != 1 {
		t.Errorf("it recalls %v, and %d trials", got, m.recalled())
	}
	for name, o := range map[string]*hardenOptions{
		"--fresh": {fresh: true}, "another check": {check: "x"}, "more time": {checkTimeout: time.Minute}, "other ports": {ports: []string{"80"}},
	} {
		if got := s.remember(o).Recall("a key"); got != nil {
			t.Errorf("%s: it recalls %v", name, got)
		}
	}
	// What --fresh finds out takes the place of what was known.
	s.remember(&hardenOptions{fresh: true}).Keep("a key", &harden.Outcome{Stage: harden.StageCheck})
	if got := s.remember(&hardenOptions{}).Recall("a key"); got == nil || got.Passed {
		t.Errorf("it recalls %v", got)
	}
	if left, err := filepath.Glob(filepath.Join(s.store.Root(), "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOutcomesOfACheck forgets what a script found that has changed since.
func TestOutcomesOfACheck(t *testing.T) {
	s := newShop(t)
	tree(t, map[string]string{"check": "one"})
	o := &hardenOptions{checkHost: "sh './check' fast"}
	s.remember(o).Keep("k", &harden.Outcome{Stage: harden.StageDone})
	if s.remember(o).Recall("k") == nil {
		t.Error("it is forgotten although nothing has changed")
	}
	if err := os.WriteFile("check", []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.remember(o).Recall("k"); got != nil {
		t.Errorf("it recalls %v", got)
	}
}

// TestOutcomesUnreadable takes what is no outcome for nothing.
func TestOutcomesUnreadable(t *testing.T) {
	s := newShop(t)
	m := s.remember(&hardenOptions{})
	for _, text := range []string{"", "{", "null", "{}", `{"Stage": 1}`, "[]"} {
		if err := os.WriteFile(m.path("k"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := m.Recall("k"); got != nil {
			t.Errorf("%q is recalled as %v", text, got)
		}
	}
}

func TestOutcomesForgetFailures(t *testing.T) {
	s := newShop(t)
	s.remember(&hardenOptions{}).Keep("old", &harden.Outcome{Stage: harden.StageCheck})
	m := s.remember(&hardenOptions{})
	m.Keep("failed", &harden.Outcome{Stage: harden.StageCheck})
	m.Keep("passed", &harden.Outcome{Passed: true, Stage: harden.StageDone})
	m.forgetFailures()
	for key, want := range map[string]bool{"old": true, "failed": false, "passed": true} {
		if got := m.Recall(key) != nil; got != want {
			t.Errorf("%s is recalled: %v", key, got)
		}
	}
	m.forgetFailures() // what was recalled counts too
	if m.Recall("old") != nil {
		t.Error("a failure that was recalled is kept")
	}
}

// TestOutcomesPrune bounds age, number and size.
func TestOutcomesPrune(t *testing.T) {
	s := newShop(t)
	m := s.remember(&hardenOptions{})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(name string, size int64, age time.Duration) {
		t.Helper()
		path := filepath.Join(m.dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	put("old", 1, maxOutcomeAge+time.Second)
	put("new", 1, time.Hour)
	put("large", maxOutcomesSum, 2*time.Hour)
	put("less old", 1, maxOutcomeAge-time.Second)
	m.now = func() time.Time { return now }
	m.prune()
	names := func() (names []string) {
		entries, err := os.ReadDir(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if d := cmp.Diff([]string{"new"}, names()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for i := range maxOutcomes + 1 {
		put(fmt.Sprint(i), 1, time.Duration(i+1)*time.Minute)
	}
	m.prune()
	if got := names(); len(got) != maxOutcomes {
		t.Errorf("%d are left", len(got))
	}
}

// TestOutcomesUsed are not the oldest any more.
func TestOutcomesUsed(t *testing.T) {
	s := newShop(t)
	m := s.remember(&hardenOptions{})
	m.Keep("k", &harden.Outcome{Stage: harden.StageDone})
	later := time.Now().Add(maxOutcomeAge - time.Minute)
	m.now = func() time.Time { return later }
	if m.Recall("k") == nil {
		t.Fatal("it is forgotten")
	}
	later = later.Add(maxOutcomeAge - time.Minute)
	m.prune()
	if m.Recall("k") == nil {
		t.Error("what was used was dropped")
	}
}

// TestOutcomesTogether has several runs keep and recall the same.
func TestOutcomesTogether(t *testing.T) {
	s := newShop(t)
	var all sync.WaitGroup
	for n := range 8 {
		m := s.remember(&hardenOptions{})
		all.Go(func() {
			for range 20 {
				m.Keep("k", &harden.Outcome{Stage: harden.StageDone, Output: fmt.Sprint(n)})
				if got := m.Recall("k"); got == nil || got.Output == "" {
					t.Errorf("it recalls %v", got)
				}
				m.prune()
			}
		})
	}
	all.Wait()
}
