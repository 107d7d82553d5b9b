package cli

import (
	"math"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/oci"
)

func TestParseUlimit(t *testing.T) {
	tests := map[string]struct {
		want specs.POSIXRlimit
		err  string
	}{
		"nofile=10":                   {want: specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 10, Hard: 10}},
		"nofile=10:20":                {want: specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 10, Hard: 20}},
		"core=0":                      {want: specs.POSIXRlimit{Type: "RLIMIT_CORE"}},
		"core=-1":                     {want: specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: math.MaxUint64, Hard: math.MaxUint64}},
		"stack=8192:-1":               {want: specs.POSIXRlimit{Type: "RLIMIT_STACK", Soft: 8192, Hard: math.MaxUint64}},
		"as=1":                        {want: specs.POSIXRlimit{Type: "RLIMIT_AS", Soft: 1, Hard: 1}},
		"nofile":                      {err: "invalid ulimit argument: nofile"},
		"":                            {err: "invalid ulimit argument: "},
		"files=1":                     {err: "invalid ulimit type: files"},
		"NOFILE=1":                    {err: "invalid ulimit type: NOFILE"},
		"nofile=":                     {err: `invalid ulimit nofile=: "" is neither a number nor -1`},
		"nofile=1:":                   {err: `invalid ulimit nofile=1:: "" is neither a number nor -1`},
		"nofile=1:2:3":                {err: "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"},
		"nofile=-2":                   {err: `invalid ulimit nofile=-2: "-2" is neither a number nor -1`},
		"nofile=2:1":                  {err: "ulimit soft limit must be less than or equal to hard limit: 2 > 1"},
		"nofile=-1:1":                 {err: "ulimit soft limit must be less than or equal to hard limit: -1 > 1"},
		"nofile=99999999999999999999": {err: `invalid ulimit nofile=99999999999999999999: "99999999999999999999" is neither a number nor -1`},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := parseUlimit(in)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseUlimit(f *testing.F) {
	for _, s := range []string{"nofile=1:2", "core=-1", "cpu", "x=1", "nofile=1:2:3", "stack=:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := parseUlimit(s)
		if err != nil {
			return
		}
		if l.Soft > l.Hard {
			t.Errorf("soft %d above hard %d", l.Soft, l.Hard)
		}
		if name := engine.UlimitName(l); !strings.HasPrefix(s, name+"=") {
			t.Errorf("%q became %s", s, l.Type)
		}
	})
}

func TestParseDevice(t *testing.T) {
	tests := map[string]struct {
		want engine.Device
		err  string
	}{
		"/dev/fuse":             {want: engine.Device{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", Access: "rwm"}},
		"/dev/fuse:r":           {want: engine.Device{PathOnHost: "/dev/fuse", PathInContainer: "/dev/fuse", Access: "r"}},
		"/dev/fuse:/dev/x":      {want: engine.Device{PathOnHost: "/dev/fuse", PathInContainer: "/dev/x", Access: "rwm"}},
		"/dev/a:/dev/b/../c:rw": {want: engine.Device{PathOnHost: "/dev/a", PathInContainer: "/dev/c", Access: "rw"}},
		"/dev/a:/dev/b:x":       {err: "invalid device mode: x"},
		"/dev/a:/dev/b:rr":      {err: "invalid device mode: rr"},
		"/dev/a:/dev/b:":        {err: "invalid device mode: "},
		"/dev/a:/dev/b:r:w":     {err: "invalid device specification: /dev/a:/dev/b:r:w"},
		"/dev/a:b":              {err: `invalid device specification: /dev/a:b: "b" is no absolute path of a device`},
		"/dev/a:/":              {err: `invalid device specification: /dev/a:/: "/" is no absolute path of a device`},
		"dev/a":                 {err: `invalid device specification: dev/a: "dev/a" is no absolute path of a device`},
		"":                      {err: `invalid device specification: : "" is no absolute path of a device`},
		"vendor.com/class=gpu":  {err: "invalid device specification: vendor.com/class=gpu: deckhand knows no CDI devices"},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := parseDevice(in)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseDevice(f *testing.F) {
	for _, s := range []string{"/dev/a", "/dev/a:r", "/dev/a:/dev/b:rwm", "a=b", "::", "/dev/a:/.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := parseDevice(s)
		if err != nil {
			return
		}
		if !path.IsAbs(d.PathOnHost) || path.Clean(d.PathInContainer) != d.PathInContainer || d.PathInContainer == "/" || !deviceAccess(d.Access) {
			t.Errorf("%q became %+v", s, d)
		}
	})
}

func TestProcessOptions(t *testing.T) {
	tests := map[string]struct {
		opts processOptions
		want oci.SpecOptions
		err  string
	}{
		"none":               {},
		"size of /dev/shm":   {opts: processOptions{shm: 1 << 20}, want: oci.SpecOptions{ShmBytes: 1 << 20}},
		"the last of a name": {opts: processOptions{ulimits: []string{"core=1", "cpu=5", "core=2"}}, want: oci.SpecOptions{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Soft: 5, Hard: 5}, {Type: "RLIMIT_CORE", Soft: 2, Hard: 2}}}},
		"too high":           {opts: processOptions{oomScoreAdj: 1001}, err: "Invalid value 1001, range for oom score adj is [-1000, 1000]"},
		"too low":            {opts: processOptions{oomScoreAdj: -1001}, err: "Invalid value -1001, range for oom score adj is [-1000, 1000]"},
		"a bad limit":        {opts: processOptions{ulimits: []string{"x"}}, err: "invalid ulimit argument: x"},
		"a bad device":       {opts: processOptions{devices: []string{"x"}}, err: `invalid device specification: x: "x" is no absolute path of a device`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var cfg engine.Config
			if err := tt.opts.apply(&cfg); text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, cfg.Spec); tt.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeepGroups(t *testing.T) {
	tests := map[string]struct {
		in, want []string
		keep     bool
		fails    bool
	}{
		"none":       {},
		"others":     {in: []string{"audio", "7"}, want: []string{"audio", "7"}},
		"kept":       {in: []string{"keep-groups"}, keep: true},
		"and others": {in: []string{"keep-groups", "audio"}, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s oci.SpecOptions
			got, err := keepGroups(&s, tt.in)
			if (err != nil) != tt.fails || s.KeepGroups != tt.keep {
				t.Fatalf("keeps %v, error %v", s.KeepGroups, err)
			}
			if diff := cmp.Diff(tt.want, got); !tt.fails && diff != "" {
				t.Error(diff)
			}
		})
	}
}
