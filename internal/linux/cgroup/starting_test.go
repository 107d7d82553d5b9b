package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestStarting(t *testing.T) {
	pids := func(n int64) *specs.LinuxResources { return &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &n}} }
	for n, split := range map[int64]bool{-1: false, 0: true, 1: true, StartPids - 1: true, StartPids: false, 1000: false} {
		r := pids(n)
		r.CPU = &specs.LinuxCPU{Cpus: "0"}
		first, then := Starting(r)
		want := n
		if split {
			want = StartPids
			if diff := cmp.Diff(pids(n), then); diff != "" {
				t.Errorf("%d: %s", n, diff)
			}
		} else if then != nil {
			t.Errorf("%d: %+v is left", n, then)
		}
		if *first.Pids.Limit != want || first.CPU != r.CPU || *r.Pids.Limit != n {
			t.Errorf("%d: the first is %+v", n, first)
		}
	}
	for _, r := range []*specs.LinuxResources{nil, {}, {Pids: &specs.LinuxPids{}}} {
		if first, then := Starting(r); first != r || then != nil {
			t.Errorf("%+v becomes %+v and %+v", r, first, then)
		}
	}
}
