package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "32": 32, "32b": 32, "32B": 32, "32k": 32 << 10, "32K": 32 << 10, "32kb": 32 << 10, "32KiB": 32 << 10, "1m": 1 << 20, "1.5g": 3 << 29,
		"2 GB": 2 << 30, "1t": 1 << 40, "1p": 1 << 50, "0.5": 0, ".5k": 512,
		"": -1, "hello": -1, "-32": -1, " 32 ": -1, "32m ": -1, "32bm": -1, "32 mb x": -1, "1e3": -1, "0x10": -1, "1_0": -1, "inf": -1,
		"nan": -1, "99999999p": -1, "k": -1, ".": -1, "1..2": -1, "32  kb": -1,
	} {
		got, err := parseBytes(s)
		if want < 0 {
			if text(err) != "invalid size: '"+s+"'" {
				t.Errorf("%q is %d, %v", s, got, err)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
}

// FuzzParseBytes: what is taken is a number of bytes; more of a unit is never less.
func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"1g", "2 MB", "0.5kib", "-1", "1e9", "9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseBytes(s)
		if err == nil && n < 0 {
			t.Errorf("%q is %d", s, n)
		}
		if k, kErr := parseBytes(s + "k"); err == nil && kErr == nil && k < n && n < math.MaxInt64>>10 {
			t.Errorf("%q is %d, and with a k %d", s, n, k)
		}
	})
}

// FuzzCPUCount: what is taken comes back.
func FuzzCPUCount(f *testing.F) {
	for _, s := range []string{"1", "0.5", "1/3", "1e3", "-1", "0.0000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c, again cpuCount
		if c.Set(s) != nil {
			return
		}
		text := fmt.Sprintf("%d/1000000000", int64(c))
		if err := again.Set(text); err != nil || again != c {
			t.Errorf("%q is %d, which is %d (%v)", s, c, again, err)
		}
	})
}

// parseLimits reads flags as run does.
func parseLimits(line string) (engine.Limits, error) {
	var o limitOptions
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.addFlags(f)
	if err := f.Parse(strings.Fields(line)); err != nil {
		return engine.Limits{}, err
	}
	return o.limits()
}

func TestLimits(t *testing.T) {
	tests := map[string]struct {
		line string
		want *specs.LinuxResources
		err  string
	}{
		"none":             {},
		"unlimited":        {line: "--pids-limit -1"},
		"memory":           {line: "-m 64m --memory-swap 128m --memory-reservation 32m", want: &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(128 << 20)), Reservation: new(int64(32 << 20))}}},
		"unlimited swap":   {line: "--memory 1g --memory-swap -1", want: &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(1 << 30)), Swap: new(int64(-1))}}},
		"killer":           {line: "--oom-kill-disable --memory-swappiness 0", want: &specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: new(true), Swappiness: new(uint64(0))}}},
		"cpus":             {line: "--cpus 0.25", want: &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(25000)), Period: new(uint64(100000))}}},
		"cpu":              {line: "-c 512 --cpu-quota 5000 --cpu-period 10000 --cpuset-cpus 0-1 --cpuset-mems 0", want: &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(5000)), Period: new(uint64(10000)), Cpus: "0-1", Mems: "0"}}},
		"few shares":       {line: "--cpu-shares 1", want: &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(2))}}},
		"many shares":      {line: "--cpu-shares 1000000", want: &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(262144))}}},
		"pids":             {line: "--pids-limit 5", want: &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(5))}}},
		"weight":           {line: "--blkio-weight 10", want: &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(10))}}},
		"small":            {line: "-m 1m", err: "Minimum memory limit allowed is 6MB"},
		"swap alone":       {line: "--memory-swap 1g", err: "You should always set the Memory limit when using Memoryswap limit, see usage"},
		"swap below":       {line: "-m 1g --memory-swap 1m", err: "Minimum memoryswap limit should be larger than memory limit, see usage"},
		"reservation":      {line: "-m 10m --memory-reservation 20m", err: "Minimum memory limit can not be less than memory reservation limit, see usage"},
		"tiny reservation": {line: "--memory-reservation 2m", err: "Minimum memory reservation allowed is 6MB"},
		"swappiness":       {line: "--memory-swappiness 101", err: "Invalid value: 101, valid memory swappiness range is 0-100"},
		"cpus and quota":   {line: "--cpus 1 --cpu-quota 5000", err: "Conflicting options: Nano CPUs and CPU Quota cannot both be set."},
		"cpus and period":  {line: "--cpus 1 --cpu-period 5000", err: "Conflicting options: Nano CPUs and CPU Period cannot both be set."},
		"period":           {line: "--cpu-period 5", err: "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"},
		"quota":            {line: "--cpu-quota 5", err: "CPU cfs quota can not be less than 1ms (i.e. 1000)"},
		"shares":           {line: "--cpu-shares -5", err: "--cpu-shares -5 is below zero"},
		"light":            {line: "--blkio-weight 9", err: "Range of blkio weight is from 10 to 1000"},
		"bytes":            {line: "-m 5x", err: "invalid argument \"5x\" for \"-m, --memory\" flag: invalid size: '5x'"},
		"rational":         {line: "--cpus x", err: `invalid argument "x" for "--cpus" flag: failed to parse x as a rational number`},
		"precise":          {line: "--cpus 0.0000000001", err: `invalid argument "0.0000000001" for "--cpus" flag: value is too precise`},
		"no device":        {line: "--device-read-bps /dev/null", err: `invalid argument "/dev/null" for "--device-read-bps" flag: bad format: /dev/null`},
		"no path":          {line: "--device-read-bps null:1", err: `invalid argument "null:1" for "--device-read-bps" flag: bad format for device path: null:1`},
		"character device": {line: "--device-read-bps /dev/null:1", err: `invalid argument "/dev/null:1" for "--device-read-bps" flag: /dev/null is not a block device`},
		"missing device":   {line: "--device-read-bps /dev/nosuch:1", err: `invalid argument "/dev/nosuch:1" for "--device-read-bps" flag: stat /dev/nosuch: no such file or directory`},
		"device weight":    {line: "--blkio-weight-device /dev/null:5", err: `invalid argument "/dev/null:5" for "--blkio-weight-device" flag: invalid weight for device: /dev/null:5: it is 0, or 10 to 1000`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseLimits(tt.line)
			if text(err) != tt.err {
				t.Fatalf("the error is %v", err)
			}
			if diff := cmp.Diff(tt.want, got.Resources); tt.err == "" && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLimitErrorNamesFlag: each flag's field has a name.
func TestLimitErrorNamesFlag(t *testing.T) {
	for field, flag := range map[string]string{
		"memory.limit": "--memory ", "memory.swap": "--memory-swap ", "memory.swappiness": "--memory-swappiness ", "cpu.quota": "--cpus (--cpu-quota, --cpu-period) ",
		"blockIO.weight": "--blkio-weight ", "blockIO.weightDevice[0].weight": "--blkio-weight-device ", "pids.limit": "--pids-limit ",
	} {
		err := limitError(fmt.Errorf("make cgroup: %w", &cgroup.FieldError{Field: field, Why: "why", Err: fs.ErrPermission}))
		if !strings.HasPrefix(text(err), flag+"cannot be enforced: why: ") || len(hint.Of(err)) == 0 {
			t.Errorf("%s: %v, %q", field, err, hint.Of(err))
		}
	}
	plain := errors.New("plain")
	if err := limitError(plain); !errors.Is(err, plain) || text(err) != "plain" {
		t.Error(err)
	}
}

func TestLimitsReport(t *testing.T) {
	l, err := parseLimits("-m 64m --memory-swap -1 --cpus 0.5 --pids-limit 7 --blkio-weight 20 --memory-swappiness 5 --cgroup-parent /x")
	if err != nil {
		t.Fatal(err)
	}
	want := limitsReport{
		Memory: 64 << 20, MemorySwap: -1, NanoCPUs: 500000000, PidsLimit: new(int64(7)), BlkioWeight: 20, MemorySwappiness: new(uint64(5)), CgroupParent: "/x",
	}
	if diff := cmp.Diff(want, limitsOf(l)); diff != "" {
		t.Error(diff)
	}
}
