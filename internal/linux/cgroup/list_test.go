package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestListWithin(t *testing.T) {
	tests := map[string]struct {
		want, have string
		ok         bool
	}{
		"all":         {"0-3", "0-3", true},
		"some":        {"0,2-3", "0-3", true},
		"unsorted":    {"3,0", "0-3", true},
		"one too far": {"0-4", "0-3", false},
		"a hole":      {"0-5", "0-3,5-7", false},
		"two parts":   {"1,6", "0-3,5-7", true},
		"none":        {"", "0", true},
		"nothing":     {"0", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want, okWant := parseList(tt.want)
			have, okHave := parseList(tt.have)
			if !okWant || !okHave || want.within(have) != tt.ok {
				t.Errorf("%v in %v", want, have)
			}
		})
	}
	for _, s := range []string{"x", "1-", "-1", "3-1", "0-10:2/4", "99999999999"} {
		if l, ok := parseList(s); ok {
			t.Errorf("%q is %v", s, l)
		}
	}
}

func FuzzList(f *testing.F) {
	f.Add("0-2,5", "0-7")
	f.Add("1", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		la, okA := parseList(a)
		lb, okB := parseList(b)
		if !okA || !okB {
			return
		}
		if !la.within(la) || !la.within(append(lb, la...)) {
			t.Errorf("%v is not within itself", la)
		}
	})
}

// TestCpusetBeyond: version 2 would take processors that are not there, and then use all.
func TestCpusetBeyond(t *testing.T) {
	h := fakeTree(t, map[string]string{
		"a/cpuset.cpus.effective": "0-1\n", "a/cpuset.mems.effective": "0\n", "a/id/cgroup.controllers": "cpuset", "a/id/cpuset.cpus": "", "a/id/cpuset.mems": "",
	})
	h.controllers = []string{"cpuset"}
	for field, c := range map[string]specs.LinuxCPU{"": {Cpus: "1", Mems: "0"}, "cpu.cpus": {Cpus: "1-2"}, "cpu.mems": {Mems: "1"}} {
		g, err := open(filepath.Join(h.unified.dir, "a/id"))
		if err != nil {
			t.Fatal(err)
		}
		g.host = h
		err = g.Update(&specs.LinuxResources{CPU: &c})
		if f, ok := errors.AsType[*FieldError](err); ok != (field != "") || ok && f.Field != field {
			t.Errorf("the error is %v, want one of %q", err, field)
		}
		_ = g.Close()
	}
}

// TestKept refuses what the kernel makes something else of.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpu.shares")
	if err := os.WriteFile(path, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &setting{field: "cpu.shares", exact: true}
	if err := s.kept(path, "2"); err != nil {
		t.Error(err)
	}
	if err := s.kept(path, "1"); err == nil || err.Error() != "linux.resources.cpu.shares: the kernel makes 2 of 1" {
		t.Errorf("the error is %v", err)
	}
}
