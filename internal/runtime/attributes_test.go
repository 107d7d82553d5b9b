package runtime

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// TestAttributes starts and enters containers with each attribute of a process.
func TestAttributes(t *testing.T) {
	machine := map[string]string{"amd64": "i686", "arm64": "armv8l"}[runtime.GOARCH]
	tests := map[string]struct {
		change  func(*specs.Spec)
		command string
		want    string
	}{
		"personality LINUX32": {func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32} }, "machine", machine},
		"scheduler": {func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}
		}, "sched", "3 7 "},
		"idle scheduler": {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle} }, "sched", "5 "},
		"nice":           {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Nice: 3} }, "sched", "0 3 "},
		"io priority": {func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		}, "sched", "0 0 2 6 "},
		"io idle": {func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE} }, "sched", "0 0 3 0 "},
		"umask":   {func(s *specs.Spec) { mask := uint32(0o27); s.Process.User.Umask = &mask }, "umask", "0027"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", tt.command)
			tt.change(b.o.Spec)
			if r := b.run(); r.Code != 0 || !strings.HasPrefix(r.out, tt.want) {
				t.Errorf("start: %+v, want %s", r, tt.want)
			}
		})
		t.Run("exec, "+name, func(t *testing.T) {
			b := newBox(t, "guest", "sleep", "1m")
			p := b.start()
			tt.change(b.o.Spec)
			if r := execIn(t, b, p, nil, "guest", tt.command); r.Code != 0 || !strings.HasPrefix(r.out, tt.want) {
				t.Errorf("exec: %+v, want %s", r, tt.want)
			}
		})
	}
}

// TestMemoryPolicy has memory come from a node, where the kernel knows nodes.
func TestMemoryPolicy(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/self/numa_maps")
	b.o.Spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	r, err := b.try(t.Context())
	if err != nil {
		if !strings.Contains(err.Error(), "linux.memoryPolicy") {
			t.Error(err)
		}
		return
	}
	if !strings.Contains(r.out, "bind=static:0") {
		t.Errorf("%+v", r)
	}
}

// TestExecAffinity: a process that enters runs where it is told to, the first process does not.
func TestExecAffinity(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	b.o.Spec.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0-1", Final: "0"}
	if r := execIn(t, b, p, nil, "guest", "sched"); !strings.HasSuffix(r.out, " 1 true\n") {
		t.Errorf("final: %+v", r)
	}
	whole := execIn(t, newBox(t), p, nil, "guest", "sched")
	b.o.Spec.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "0"}
	if r := execIn(t, b, p, nil, "guest", "sched"); r.out != whole.out {
		t.Errorf("initial only: %q, want %q", r.out, whole.out)
	}
}

// TestAttributeErrors names the field that cannot be obeyed.
func TestAttributeErrors(t *testing.T) {
	tests := map[string]struct {
		change func(*specs.Spec)
		want   string
	}{
		"personality": {func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "BSD"} }, "linux.personality.domain"},
		"personality flags": {func(s *specs.Spec) {
			s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux, Flags: []specs.LinuxPersonalityFlag{"X"}}
		}, "linux.personality.flags"},
		"scheduler policy":   {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_X"} }, "process.scheduler.policy"},
		"scheduler ISO":      {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedISO} }, "process.scheduler.policy"},
		"scheduler priority": {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Priority: -1} }, "process.scheduler.priority"},
		"scheduler range":    {func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Priority: 100} }, "process.scheduler"},
		"scheduler flags": {func(s *specs.Spec) {
			s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Flags: []specs.LinuxSchedulerFlag{"X"}}
		}, "process.scheduler.flags"},
		"io class": {func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: "X"} }, "process.ioPriority.class"},
		"io priority": {func(s *specs.Spec) {
			s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 8}
		}, "process.ioPriority.priority"},
		"memory mode": {func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: "X"} }, "linux.memoryPolicy.mode"},
		"memory nodes": {func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "3-1"}
		}, "linux.memoryPolicy.nodes"},
		"memory flags": {func(s *specs.Spec) {
			s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Flags: []specs.MemoryPolicyFlagType{"X"}}
		}, "linux.memoryPolicy.flags"},
		"a limit twice": {func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_CORE"}}
		}, "process.rlimits: RLIMIT_CORE is there twice"},
		"soft above": {func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}} }, "process.rlimits"},
		"capability": {func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{"CAP_X"}} }, "process.capabilities"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			tt.change(b.o.Spec)
			if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestSecurityModules: a label is written where its module runs, and refused by name where it does not.
func TestSecurityModules(t *testing.T) {
	for field, tt := range map[string]struct {
		there  bool
		change func(*specs.Spec)
	}{
		"process.apparmorProfile": {hasAppArmor(), func(s *specs.Spec) { s.Process.ApparmorProfile = "no-such-profile" }},
		"process.selinuxLabel":    {hasSELinux(), func(s *specs.Spec) { s.Process.SelinuxLabel = "no:such:label" }},
		"linux.mountLabel":        {hasSELinux(), func(s *specs.Spec) { s.Linux.MountLabel = "no:such:label" }},
	} {
		b := newBox(t, "guest")
		tt.change(b.o.Spec)
		_, err := b.try(t.Context())
		var unsupported *UnsupportedError
		if errors.As(err, &unsupported) == tt.there || err == nil {
			t.Errorf("%s: %v", field, err)
		}
		if !tt.there && !strings.HasPrefix(unsupported.Field, field) {
			t.Errorf("%v, want %s", err, field)
		}
	}
}

// TestCapabilitySets: all five as given; what nobody knows is a warning.
func TestCapabilitySets(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/self/status")
	b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{
		Bounding: []string{"CAP_KILL", "CAP_CHOWN", "CAP_FUTURE"}, Permitted: []string{"CAP_CHOWN", "CAP_KILL"},
		Inheritable: []string{"CAP_KILL"}, Ambient: []string{"CAP_KILL"}, Effective: []string{"CAP_FUTURE", "CAP_PAST"},
	}
	var warnings []string
	b.o.Warn = func(m string) { warnings = append(warnings, m) }
	compareStatus(t, b.run(), map[string]string{
		"CapBnd": "0000000000000021", "CapPrm": "0000000000000020", "CapEff": "0000000000000020", "CapInh": "0000000000000020", "CapAmb": "0000000000000020",
	})
	want := []string{"process.capabilities: CAP_FUTURE is not known and left out", "process.capabilities: CAP_PAST is not known and left out"}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

// TestLowLimits: what is too little for us may be enough for the command.
func TestLowLimits(t *testing.T) {
	limits := []specs.POSIXRlimit{
		{Type: "RLIMIT_AS", Soft: 64 << 20, Hard: 64 << 20},
		{Type: "RLIMIT_DATA", Soft: 32 << 20, Hard: 32 << 20},
		{Type: "RLIMIT_FSIZE", Soft: 0, Hard: 0},
		{Type: "RLIMIT_NPROC", Soft: 1, Hard: 1},
		{Type: "RLIMIT_STACK", Soft: 1 << 20, Hard: 2 << 20},
	}
	const script, want = "ulimit -v; ulimit -d; ulimit -f", "65536\n32768\n0"
	b := newBox(t, "/usr/bin/sh", "-c", script).withHostPrograms()
	b.o.Spec.Process.Rlimits = limits
	b.want(want)
	b.o.Spec.Process.NoNewPrivileges, b.o.Stdio = false, Stdio{} // loads the filter early
	b.o.Spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	b.want(want)
	b = newBox(t, "/usr/bin/sleep", "60").withHostPrograms()
	p := b.start()
	b.o.Spec.Process.Rlimits = limits
	if r := execIn(t, b, p, nil, "/usr/bin/sh", "-c", script); strings.TrimSpace(r.out) != want {
		t.Errorf("exec: %+v", r)
	}
}

// TestMissingCapabilities: what the caller has not he cannot grant.
func TestMissingCapabilities(t *testing.T) {
	c := stage.Caps{Bounding: 7, Effective: 6, Permitted: 7, Inheritable: 4, Ambient: 4}
	var warnings []string
	narrow(&c, 3, func(m string) { warnings = append(warnings, m) })
	if want := (stage.Caps{Bounding: 7, Effective: 2, Permitted: 3}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "CAP_DAC_READ_SEARCH") {
		t.Errorf("%q", warnings)
	}
}

// TestAllCapabilities starts a container that is to have every capability, wherever we are.
func TestAllCapabilities(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/self/status")
	b.leave(specs.UserNamespace)
	b.o.Spec.Process.User = specs.User{}
	all := caps.All()
	b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	b.o.Spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true}}}
	b.o.Warn = func(string) {}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	compareStatus(t, b.run(), map[string]string{"CapPrm": status(string(own), "CapPrm"), "CapBnd": status(string(own), "CapBnd")})
}

func TestParseRanges(t *testing.T) {
	tests := map[string]struct {
		want []int
		bad  bool
	}{
		"": {}, "0": {want: []int{0}}, "0-2,5": {want: []int{0, 1, 2, 5}}, "3, 4": {want: []int{3, 4}},
		"a": {bad: true}, "2-1": {bad: true}, "-1": {bad: true}, "1-": {bad: true}, "9": {bad: true}, "0-70000": {bad: true}, ",": {bad: true},
	}
	for list, tt := range tests {
		got, err := parseRanges(list, 8)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != tt.bad {
			t.Errorf("%q: %v %s", list, err, diff)
		}
	}
}
