package battery

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// TestOneProbe has the driver start programs that behave as probes may not.
func TestOneProbe(t *testing.T) {
	tests := map[string]struct {
		script string
		want   probe.Result
	}{
		"a result":         {`echo '{"verdict":"denied","by":"owner"}'`, probe.Result{Verdict: probe.Denied, By: probe.ByOwner}},
		"noise before":     {`echo warning; echo '{"verdict":"allowed"}'`, probe.Result{Verdict: probe.Allowed}},
		"a child holds on": {`sleep 1 & echo '{"verdict":"allowed"}'`, probe.Result{Verdict: probe.Allowed}},
		"ended by a filter": {`kill -SYS $$`, probe.Result{
			Verdict: probe.Denied, By: probe.BySeccomp, Detail: "the filter ends the process",
		}},
		"crash":      {`kill -SEGV $$`, probe.Result{Verdict: probe.Failed, Detail: "it was ended by SIGSEGV"}},
		"no result":  {`echo oops; exit 7`, probe.Result{Verdict: probe.Failed, Detail: "it ended with code 7: oops"}},
		"half a one": {`printf '{"verdict":'`, probe.Result{Verdict: probe.Failed, Detail: `it ended with code 0: {"verdict":`}},
		"hangs":      {`exec sleep 100`, probe.Result{Verdict: probe.Failed, Detail: "nothing came of it within 300 ms"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			self := filepath.Join(t.TempDir(), "self")
			if err := os.WriteFile(self, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			d := driver{self: self, patienceMillis: 300}
			if diff := cmp.Diff(tt.want, d.one("chroot")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
				t.Errorf("a process is left: %d, %v", pid, err)
			}
		})
	}
}

// TestHeldProcesses start and end with the driver.
func TestHeldProcesses(t *testing.T) {
	h := startHeld(built, os.Getuid())
	if h == nil {
		t.Fatal("no process was started")
	}
	if err := unix.Kill(h.pid, 0); err != nil {
		t.Error("it is not there: ", err)
	}
	h.release()
	if err := unix.Kill(h.pid, 0); err != unix.ESRCH {
		t.Error("it is still there: ", err)
	}
	var none *held
	none.release()
	if id := none.id(); id != 0 {
		t.Errorf("none has id %d", id)
	}
}

// TestReapAll takes what a probe left behind, as pid 1 has to.
func TestReapAll(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	self := filepath.Join(t.TempDir(), "self")
	if err := os.WriteFile(self, []byte("#!/bin/sh\n(read line </dev/null) & echo '{\"verdict\":\"allowed\"}'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := driver{self: self, patienceMillis: 3000}
	if r := d.one("chroot"); r.Verdict != probe.Allowed {
		t.Fatalf("%+v", r)
	}
	for range 1000 {
		reapAll()
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err == unix.ECHILD {
			return
		}
		_, _ = unix.Poll(nil, 5)
	}
	t.Error("a process is left")
}
