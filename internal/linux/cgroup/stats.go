package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Stats is what a container has used. A part is nil where its controller does not count for the container: one bound to
// version 1 counts for members of its hierarchy only.
type Stats struct {
	CPU    *CPUStats
	Memory *MemoryStats
	Pids   *PidsStats
	IO     []IOStats // a device each; nil: not counted, or nothing
}

// CPUStats are times in nanoseconds.
type CPUStats struct {
	Usage, User, System       uint64
	Periods, ThrottledPeriods uint64 // of a quota
	ThrottledTime             uint64
	PerCPU                    []uint64 // version 1's; else nil
}

// MemoryStats are bytes. Unlimited stands for no limit.
type MemoryStats struct {
	Usage, MaxUsage, Limit uint64
	Failures               uint64 // how often the limit was hit
	Cache, InactiveFile    uint64 // docker stats shows Usage without InactiveFile
	Swap, SwapLimit        uint64 // swap alone
	OOMKills               uint64
	Detail                 map[string]uint64 // memory.stat
}

// Unlimited is the limit of what has none.
const Unlimited = ^uint64(0)

// PidsStats are tasks: processes and threads.
type PidsStats struct{ Current, Limit uint64 }

// IOStats are a block device's.
type IOStats struct {
	Major, Minor          uint64
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64
}

// Stats reads statistics; a group that is gone has none.
func (g *Group) Stats() (*Stats, error) {
	s := &Stats{}
	if g.Path == "" {
		return s, nil
	}
	for _, read := range []func(*Stats) error{g.cpuStats, g.memoryStats, g.pidsStats, g.ioStats} {
		if err := gone(read(s)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// OOMKilled reports whether the kernel has killed a process of the container for want of memory. It costs nothing where
// memory is not limited.
func (g *Group) OOMKilled() (bool, error) {
	dir, file := g.Path, "memory.events"
	if m := g.memberOf("memory"); m != nil {
		dir, file = m.dir, "memory.oom_control"
	}
	if dir == "" {
		return false, nil
	}
	values, err := readTable(filepath.Join(dir, file))
	return values["oom_kill"] > 0, gone(err)
}

func (g *Group) cpuStats(s *Stats) error {
	m := g.memberOf("cpuacct")
	if m == nil && g.Dir != nil {
		return g.cpuStats2(s)
	}
	if m == nil {
		return nil
	}
	usage, err := readNumber(filepath.Join(m.dir, "cpuacct.usage"))
	if err != nil {
		return err
	}
	s.CPU = &CPUStats{Usage: usage}
	each, err := readWords(filepath.Join(m.dir, "cpuacct.usage_percpu"))
	for _, w := range each {
		n, _ := strconv.ParseUint(w, 10, 64) // the kernel writes numbers
		s.CPU.PerCPU = append(s.CPU.PerCPU, n)
	}
	if err != nil {
		return err
	}
	for _, f := range []struct {
		file string
		into *uint64
	}{{"cpuacct.usage_user", &s.CPU.User}, {"cpuacct.usage_sys", &s.CPU.System}} {
		if *f.into, err = readNumber(filepath.Join(m.dir, f.file)); gone(err) != nil {
			return err
		}
	}
	return g.throttled(s.CPU)
}

// throttled are the numbers of version 1's cpu controller.
func (g *Group) throttled(c *CPUStats) error {
	m := g.memberOf("cpu")
	if m == nil {
		return nil
	}
	t, err := readTable(filepath.Join(m.dir, "cpu.stat"))
	c.Periods, c.ThrottledPeriods, c.ThrottledTime = t["nr_periods"], t["nr_throttled"], t["throttled_time"]
	return err
}

// cpuStats2 reads the home's cpu.stat, which every group of version 2 has, its controller enabled or not.
func (g *Group) cpuStats2(s *Stats) error {
	t, err := readTable(filepath.Join(g.Path, "cpu.stat"))
	if err != nil {
		return err
	}
	const micro = 1000
	s.CPU = &CPUStats{
		Usage: t["usage_usec"] * micro, User: t["user_usec"] * micro, System: t["system_usec"] * micro,
		Periods: t["nr_periods"], ThrottledPeriods: t["nr_throttled"], ThrottledTime: t["throttled_usec"] * micro,
	}
	return g.throttled(s.CPU)
}

func (g *Group) memoryStats(s *Stats) error {
	dir, n := g.Path, memoryFiles2
	m := g.memberOf("memory")
	if m != nil {
		dir, n = m.dir, memoryFiles1
	}
	usage, err := readNumber(filepath.Join(dir, n.usage))
	if err != nil {
		return err
	}
	out := &MemoryStats{Usage: usage}
	for _, f := range []struct {
		file string
		into *uint64
	}{
		{n.max, &out.MaxUsage},
		{n.limit, &out.Limit},
		{n.failures, &out.Failures},
		{n.swap, &out.Swap},
		{n.swapLimit, &out.SwapLimit},
	} {
		if f.file == "" {
			continue
		}
		if *f.into, err = readNumber(filepath.Join(dir, f.file)); gone(err) != nil {
			return err
		}
	}
	if out.Detail, err = readTable(filepath.Join(dir, "memory.stat")); err != nil {
		return err
	}
	if m != nil {
		out.finish1()
	} else {
		out.Cache, out.InactiveFile = out.Detail["file"], out.Detail["inactive_file"]
	}
	events, err := readTable(filepath.Join(dir, n.events))
	out.OOMKills = events["oom_kill"]
	if m == nil {
		out.Failures = events["max"]
	}
	s.Memory = out
	return err
}

// memoryFiles are the names of a version.
type memoryFiles struct{ usage, max, limit, failures, swap, swapLimit, events string }

var (
	memoryFiles1 = memoryFiles{
		"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.failcnt",
		"memory.memsw.usage_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control",
	}
	memoryFiles2 = memoryFiles{
		"memory.current", "memory.peak", "memory.max", "", "memory.swap.current", "memory.swap.max", "memory.events",
	}
)

// finish1 converts version 1's numbers, which add memory to swap.
func (m *MemoryStats) finish1() {
	m.Cache, m.InactiveFile = m.Detail["total_cache"], m.Detail["total_inactive_file"]
	m.Swap -= min(m.Swap, m.Usage)
	const pages = 1 << 62 // version 1's "unlimited" is the highest number of pages
	if m.SwapLimit >= pages {
		m.SwapLimit = Unlimited
	} else {
		m.SwapLimit -= min(m.SwapLimit, m.Limit)
	}
	if m.Limit >= pages {
		m.Limit = Unlimited
	}
}

func (g *Group) pidsStats(s *Stats) error {
	dir := g.Path
	if m := g.memberOf("pids"); m != nil {
		dir = m.dir
	}
	now, err := readNumber(filepath.Join(dir, "pids.current"))
	if err != nil {
		return err
	}
	limit, err := readNumber(filepath.Join(dir, "pids.max"))
	s.Pids = &PidsStats{Current: now, Limit: limit}
	return err
}

func (g *Group) ioStats(s *Stats) error {
	m := g.memberOf("blkio")
	if m == nil {
		b, err := os.ReadFile(filepath.Join(g.Path, "io.stat"))
		s.IO = parseIO2(string(b))
		return err
	}
	for _, f := range [...]string{"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"} {
		b, err := os.ReadFile(filepath.Join(m.dir, f))
		if err != nil {
			return err
		}
		s.IO = parseIO1(string(b), strings.Contains(f, "bytes"), s.IO)
	}
	return nil
}

// parseIO2 reads lines as "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
func parseIO2(text string) []IOStats {
	var list []IOStats
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		d, ok := parseDevice(fields[0])
		if !ok {
			continue
		}
		for _, f := range fields[1:] {
			key, value, _ := strings.Cut(f, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				continue
			}
			switch key {
			case "rbytes":
				d.ReadBytes = n
			case "wbytes":
				d.WriteBytes = n
			case "rios":
				d.Reads = n
			case "wios":
				d.Writes = n
			}
		}
		list = append(list, d)
	}
	return list
}

// parseIO1 reads lines as "8:0 Read 1" into what is known of the devices.
func parseIO1(text string, bytes bool, list []IOStats) []IOStats {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		d, ok := parseDevice(fields[0])
		n, err := strconv.ParseUint(fields[2], 10, 64)
		if !ok || err != nil || fields[1] != "Read" && fields[1] != "Write" {
			continue
		}
		i := slices.IndexFunc(list, func(o IOStats) bool { return o.Major == d.Major && o.Minor == d.Minor })
		if i < 0 {
			i, list = len(list), append(list, d)
		}
		*list[i].counter(fields[1] == "Read", bytes) = n
	}
	return list
}

func (s *IOStats) counter(read, bytes bool) *uint64 {
	switch {
	case read && bytes:
		return &s.ReadBytes
	case read:
		return &s.Reads
	case bytes:
		return &s.WriteBytes
	}
	return &s.Writes
}

func parseDevice(s string) (d IOStats, ok bool) {
	major, minor, _ := strings.Cut(s, ":")
	var errMajor, errMinor error
	d.Major, errMajor = strconv.ParseUint(major, 10, 32)
	d.Minor, errMinor = strconv.ParseUint(minor, 10, 32)
	return d, errors.Join(errMajor, errMinor) == nil
}

// readNumber reads a file with one number, or max.
func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	if text == "max" {
		return Unlimited, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &fs.PathError{Op: "read", Path: path, Err: unix.EINVAL}
	}
	return n, nil
}

// readTable reads a file with a name and a number a line.
func readTable(path string) (map[string]uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseTable(string(b)), nil
}

func parseTable(text string) map[string]uint64 {
	table := make(map[string]uint64)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
			table[fields[0]] = n
		}
	}
	return table
}
