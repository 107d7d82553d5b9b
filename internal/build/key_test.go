package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
)

var zeroMatch patternmatcher.MatchInfo

func execOp(change func(*pb.ExecOp)) *pb.Op {
	e := &pb.ExecOp{
		Meta:   &pb.Meta{Args: []string{"/bin/sh", "-c", "true"}, Cwd: "/", Env: []string{"A=1"}},
		Mounts: []*pb.Mount{{Dest: "/", Output: 0}, {Dest: "/c", Input: -1, Output: -1, MountType: pb.MountType_CACHE, CacheOpt: &pb.CacheOpt{ID: "x"}}},
	}
	if change != nil {
		change(e)
	}
	return &pb.Op{Inputs: []*pb.Input{{Digest: "sha256:1"}}, Op: &pb.Op_Exec{Exec: e}}
}

func TestOpKey(t *testing.T) {
	key := func(t *testing.T, op *pb.Op, in ...string) string {
		t.Helper()
		k, err := opKey(op, in)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	tests := map[string]struct {
		op   *pb.Op
		in   []string
		same bool
	}{
		"the same":      {execOp(nil), []string{"layers:a"}, true},
		"other input":   {execOp(nil), []string{"layers:b"}, false},
		"command":       {execOp(func(e *pb.ExecOp) { e.Meta.Args[2] = "false" }), []string{"layers:a"}, false},
		"environment":   {execOp(func(e *pb.ExecOp) { e.Meta.Env = nil }), []string{"layers:a"}, false},
		"user":          {execOp(func(e *pb.ExecOp) { e.Meta.User = "9000" }), []string{"layers:a"}, false},
		"network":       {execOp(func(e *pb.ExecOp) { e.Network = pb.NetMode_NONE }), []string{"layers:a"}, false},
		"proxy":         {execOp(func(e *pb.ExecOp) { e.Meta.ProxyEnv = &pb.ProxyEnv{HttpProxy: "x"} }), []string{"layers:a"}, true},
		"address":       {execOp(func(e *pb.ExecOp) { e.Meta.ExtraHosts = []*pb.HostIP{{Host: "h", IP: "1.2.3.4"}} }), []string{"layers:a"}, false},
		"cache id":      {execOp(func(e *pb.ExecOp) { e.Mounts[1].CacheOpt.ID = "y" }), []string{"layers:a"}, true},
		"cache sharing": {execOp(func(e *pb.ExecOp) { e.Mounts[1].CacheOpt.Sharing = pb.CacheSharingOpt_LOCKED }), []string{"layers:a"}, true},
		"mount target":  {execOp(func(e *pb.ExecOp) { e.Mounts[1].Dest = "/d" }), []string{"layers:a"}, false},
	}
	want := key(t, execOp(nil), "layers:a")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := key(t, tt.op, tt.in...); (got == want) != tt.same {
				t.Errorf("keys equal: %v, want %v", got == want, tt.same)
			}
		})
	}
	t.Run("the address of a host does not count", func(t *testing.T) {
		with := func(ip string) *pb.Op {
			return execOp(func(e *pb.ExecOp) { e.Meta.ExtraHosts = []*pb.HostIP{{Host: "h", IP: ip}} })
		}
		if key(t, with("1.2.3.4")) != key(t, with("4.3.2.1")) {
			t.Error("it does")
		}
	})
	t.Run("the operation itself is not changed", func(t *testing.T) {
		op := execOp(nil)
		key(t, op)
		if op.GetExec().Mounts[1].CacheOpt.ID != "x" || len(op.Inputs) != 1 {
			t.Error("it is")
		}
	})
	t.Run("inputs are kept apart", func(t *testing.T) {
		if key(t, execOp(nil), "a", "b") == key(t, execOp(nil), "ab") {
			t.Error("a,b and ab have one key")
		}
	})
}

func TestSelectors(t *testing.T) {
	copyFrom := func(in int64) *pb.FileAction {
		return &pb.FileAction{Input: 0, SecondaryInput: in, Action: &pb.FileAction_Copy{Copy: &pb.FileActionCopy{Src: "/src"}}}
	}
	mount := func(m *pb.Mount) *pb.Op {
		return &pb.Op{Inputs: make([]*pb.Input, 2), Op: &pb.Op_Exec{Exec: &pb.ExecOp{Mounts: []*pb.Mount{{Dest: "/"}, m}}}}
	}
	sel := func(p string) map[int][]selector { return map[int][]selector{1: {{path: p, follow: true}}} }
	tests := map[string]struct {
		op   *pb.Op
		want map[int][]selector
	}{
		"copy": {
			&pb.Op{Inputs: make([]*pb.Input, 2), Op: &pb.Op_File{File: &pb.FileOp{Actions: []*pb.FileAction{copyFrom(1)}}}},
			map[int][]selector{1: {{path: "/src"}}},
		},
		"copy from what it writes to": {
			&pb.Op{Inputs: make([]*pb.Input, 1), Op: &pb.Op_File{File: &pb.FileOp{Actions: []*pb.FileAction{copyFrom(0)}}}},
			map[int][]selector{},
		},
		"bind":                       {mount(&pb.Mount{Dest: "/m", Input: 1, Output: -1, Selector: "x"}), sel("/x")},
		"bind readonly":              {mount(&pb.Mount{Dest: "/m", Input: 1, Output: 1, Readonly: true, Selector: "x"}), sel("/x")},
		"bind writable with output":  {mount(&pb.Mount{Dest: "/m", Input: 1, Output: 1}), sel("/")},
		"written through a selector": {mount(&pb.Mount{Dest: "/m", Input: 1, Output: 1, Selector: "x"}), map[int][]selector{}},
		"secret":                     {mount(&pb.Mount{Dest: "/m", Input: 1, MountType: pb.MountType_SECRET}), map[int][]selector{}},
		"cache":                      {mount(&pb.Mount{Dest: "/m", Input: 1, Output: -1, MountType: pb.MountType_CACHE, Selector: "/cache"}), sel("/cache")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, selectors(tt.op), cmp.AllowUnexported(selector{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
