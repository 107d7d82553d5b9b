package cgroup

import (
	"math"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (t *translation) cpu(c *specs.LinuxCPU) {
	if deref(c.Shares) != 0 {
		w := write{"cpu.shares", strconv.FormatUint(*c.Shares, 10)}
		if t.host.isUnified("cpu") {
			w = write{"cpu.weight", strconv.FormatUint(CPUWeight(*c.Shares), 10)}
		}
		s := t.put("cpu", "cpu.shares", w)
		s.exact = s.v1 // which takes any number, and the nearest that it can have
	}
	if c.Idle != nil { // an idle group takes no shares
		t.put("cpu", "cpu.idle", write{"cpu.idle", strconv.FormatInt(*c.Idle, 10)})
	}
	if t.host.isUnified("cpu") {
		t.bandwidth2(c)
	} else {
		t.bandwidth1(c)
	}
	t.cpuset("cpu.cpus", "cpus", c.Cpus)
	t.cpuset("cpu.mems", "mems", c.Mems)
}

// cpuset sets a list of processors or of memory nodes.
func (t *translation) cpuset(field, what, list string) {
	if list == "" {
		return
	}
	s := t.put("cpuset", field, write{"cpuset." + what, list})
	s.within = "cpuset." + what + ".effective"
	if s.v1 {
		s.within = "cpuset.effective_" + what
	}
}

// CPUWeight is version 2's weight for version 1's shares, as runc and crun convert them: 2 becomes 1, 1024 becomes
// 100, 262144 becomes 10000, and a parabola in the logarithms goes through the three.
func CPUWeight(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// bandwidth1 are version 1's quota, burst and realtime.
func (t *translation) bandwidth1(c *specs.LinuxCPU) {
	for _, f := range []struct {
		field, file string
		value       *uint64
	}{
		{"cpu.period", "cpu.cfs_period_us", c.Period},
		{"cpu.realtimePeriod", "cpu.rt_period_us", c.RealtimePeriod},
	} {
		if deref(f.value) != 0 {
			t.put("cpu", f.field, write{f.file, strconv.FormatUint(*f.value, 10)})
		}
	}
	if deref(c.Quota) != 0 {
		t.put("cpu", "cpu.quota", write{"cpu.cfs_quota_us", strconv.FormatInt(*c.Quota, 10)})
	}
	if c.Burst != nil {
		t.put("cpu", "cpu.burst", write{"cpu.cfs_burst_us", strconv.FormatUint(*c.Burst, 10)})
	}
	if deref(c.RealtimeRuntime) != 0 {
		t.put("cpu", "cpu.realtimeRuntime", write{"cpu.rt_runtime_us", strconv.FormatInt(*c.RealtimeRuntime, 10)})
	}
}

// bandwidth2 are version 2's. Its realtime has no groups.
func (t *translation) bandwidth2(c *specs.LinuxCPU) {
	if quota, period := deref(c.Quota), deref(c.Period); quota != 0 || period != 0 {
		t.put("cpu", quotaField(quota), write{"cpu.max", cpuMax(quota, period, t.read("cpu.max"))})
	}
	if c.Burst != nil {
		t.put("cpu", "cpu.burst", write{"cpu.max.burst", strconv.FormatUint(*c.Burst, 10)})
	}
	if deref(c.RealtimeRuntime) != 0 {
		t.fail(refuse("cpu.realtimeRuntime", "cgroups of version 2 do not limit realtime scheduling"))
	}
	if deref(c.RealtimePeriod) != 0 {
		t.fail(refuse("cpu.realtimePeriod", "cgroups of version 2 do not limit realtime scheduling"))
	}
}

func quotaField(quota int64) string {
	if quota == 0 {
		return "cpu.period"
	}
	return "cpu.quota"
}

// cpuMax is the content of cpu.max; what is 0 stays as it is now, in a new group no limit in 100 ms.
func cpuMax(quota int64, period uint64, now string) string {
	q, p := "max", "100000"
	if fields := strings.Fields(now); len(fields) == 2 {
		q, p = fields[0], fields[1]
	}
	if quota != 0 {
		q = orMax(quota)
	}
	if period != 0 {
		p = strconv.FormatUint(period, 10)
	}
	return q + " " + p
}

// deref is the zero value for nil.
func deref[T int64 | uint64 | uint32 | uint16 | bool](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
