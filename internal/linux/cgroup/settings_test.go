package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// oldHost has every controller in a hierarchy of version 1, newHost in the unified tree.
func oldHost() *host {
	h := &host{}
	for _, c := range []string{"cpu,cpuacct", "cpuset", "memory", "pids", "blkio", "hugetlb", "rdma", "net_cls,net_prio", "devices", "freezer"} {
		h.v1 = append(h.v1, hierarchy{dir: "/cg/" + c, root: "/", controllers: strings.Split(c, ",")})
	}
	return h
}

func newHost() *host {
	return &host{
		unified:     &hierarchy{dir: "/cg", root: "/"},
		controllers: []string{"cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma"},
	}
}

// lines are settings as "file=value", alternatives with a bar.
func lines(list []setting) []string {
	var out []string
	for _, s := range list {
		var alternatives []string
		for _, w := range s.writes {
			sign := "="
			if s.notAbove {
				sign = "<="
			}
			alternatives = append(alternatives, w.file+sign+w.value)
		}
		out = append(out, strings.Join(alternatives, "|"))
	}
	return out
}

func throttled(rate uint64) []specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: rate}
	d.Major, d.Minor = 8, 16
	return []specs.LinuxThrottleDevice{d}
}

func weighted(weight, leaf *uint16) []specs.LinuxWeightDevice {
	d := specs.LinuxWeightDevice{Weight: weight, LeafWeight: leaf}
	d.Major, d.Minor = 8, 0
	return []specs.LinuxWeightDevice{d}
}

func memory(m specs.LinuxMemory) specs.LinuxResources { return specs.LinuxResources{Memory: &m} }
func cpu(c specs.LinuxCPU) specs.LinuxResources       { return specs.LinuxResources{CPU: &c} }
func block(b specs.LinuxBlockIO) specs.LinuxResources { return specs.LinuxResources{BlockIO: &b} }

func TestSettings(t *testing.T) {
	tests := map[string]struct {
		r      specs.LinuxResources
		v1, v2 []string
		err1   string // the field that is refused
		err2   string
		now    map[string]string
	}{
		"nothing": {},
		"unset parts": {r: specs.LinuxResources{
			CPU:    &specs.LinuxCPU{Shares: new(uint64(0)), Quota: new(int64(0)), Period: new(uint64(0)), RealtimePeriod: new(uint64(0)), RealtimeRuntime: new(int64(0))},
			Memory: &specs.LinuxMemory{Limit: new(int64(0)), Swap: new(int64(0)), Kernel: new(int64(5)), DisableOOMKiller: new(false), UseHierarchy: new(true), CheckBeforeUpdate: new(true)}, //nolint:staticcheck // deprecated, and to be ignored
			Pids:   &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(0))}, Network: &specs.LinuxNetwork{ClassID: new(uint32(0))},
		}},
		"cpu": {
			r: cpu(specs.LinuxCPU{Shares: new(uint64(1024)), Quota: new(int64(50000)), Period: new(uint64(20000)), Burst: new(uint64(1000)), Idle: new(int64(1)), Cpus: "0-1", Mems: "0"}),
			v1: []string{
				"cpu.shares=1024", "cpu.idle=1", "cpu.cfs_period_us=20000", "cpu.cfs_quota_us=50000", "cpu.cfs_burst_us=1000",
				"cpuset.cpus=0-1", "cpuset.mems=0",
			},
			v2: []string{"cpu.weight=100", "cpu.idle=1", "cpu.max=50000 20000", "cpu.max.burst=1000", "cpuset.cpus=0-1", "cpuset.mems=0"},
		},
		"quota alone":         {r: cpu(specs.LinuxCPU{Quota: new(int64(50000))}), v1: []string{"cpu.cfs_quota_us=50000"}, v2: []string{"cpu.max=50000 100000"}},
		"period alone":        {r: cpu(specs.LinuxCPU{Period: new(uint64(50000))}), v1: []string{"cpu.cfs_period_us=50000"}, v2: []string{"cpu.max=max 50000"}},
		"unlimited quota":     {r: cpu(specs.LinuxCPU{Quota: new(int64(-1))}), v1: []string{"cpu.cfs_quota_us=-1"}, v2: []string{"cpu.max=max 100000"}},
		"period of a live":    {r: cpu(specs.LinuxCPU{Period: new(uint64(50000))}), v1: []string{"cpu.cfs_period_us=50000"}, v2: []string{"cpu.max=7000 50000"}, now: map[string]string{"cpu.max": "7000 10000\n"}},
		"realtime":            {r: cpu(specs.LinuxCPU{RealtimeRuntime: new(int64(9)), RealtimePeriod: new(uint64(10))}), v1: []string{"cpu.rt_period_us=10", "cpu.rt_runtime_us=9"}, err2: "cpu.realtimeRuntime"},
		"realtime period":     {r: cpu(specs.LinuxCPU{RealtimePeriod: new(uint64(10))}), v1: []string{"cpu.rt_period_us=10"}, err2: "cpu.realtimePeriod"},
		"memory":              {r: memory(specs.LinuxMemory{Limit: new(int64(100)), Reservation: new(int64(50))}), v1: []string{"memory.limit_in_bytes=100", "memory.soft_limit_in_bytes=50"}, v2: []string{"memory.max=100", "memory.low=50"}},
		"memory and swap":     {r: memory(specs.LinuxMemory{Limit: new(int64(100)), Swap: new(int64(250))}), v1: []string{"memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=250"}, v2: []string{"memory.swap.max=150", "memory.max=100"}},
		"no swap":             {r: memory(specs.LinuxMemory{Limit: new(int64(100)), Swap: new(int64(100))}), v1: []string{"memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=100"}, v2: []string{"memory.swap.max=0", "memory.max=100"}},
		"unlimited swap":      {r: memory(specs.LinuxMemory{Limit: new(int64(100)), Swap: new(int64(-1))}), v1: []string{"memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=-1"}, v2: []string{"memory.swap.max=max", "memory.max=100"}},
		"unlimited":           {r: memory(specs.LinuxMemory{Limit: new(int64(-1))}), v1: []string{"memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"}, v2: []string{"memory.swap.max=max", "memory.max=max"}},
		"swap alone":          {r: memory(specs.LinuxMemory{Swap: new(int64(100))}), v1: []string{"memory.memsw.limit_in_bytes=100"}, err2: "memory.swap"},
		"swap of a live":      {r: memory(specs.LinuxMemory{Swap: new(int64(100))}), v1: []string{"memory.memsw.limit_in_bytes=100"}, v2: []string{"memory.swap.max=40"}, now: map[string]string{"memory.max": "60\n"}},
		"swap below memory":   {r: memory(specs.LinuxMemory{Limit: new(int64(100)), Swap: new(int64(50))}), v1: []string{"memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=50"}, err2: "memory.swap"},
		"swap, no limit":      {r: memory(specs.LinuxMemory{Limit: new(int64(-1)), Swap: new(int64(50))}), v1: []string{"memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=50"}, err2: "memory.swap"},
		"negative":            {r: memory(specs.LinuxMemory{Limit: new(int64(-2))}), err1: "memory.limit", err2: "memory.limit"},
		"flat":                {r: memory(specs.LinuxMemory{UseHierarchy: new(false)}), err1: "memory.useHierarchy", err2: "memory.useHierarchy"},
		"check before update": {r: memory(specs.LinuxMemory{Limit: new(int64(100)), CheckBeforeUpdate: new(true)}), v1: []string{"memory.usage_in_bytes<=100", "memory.limit_in_bytes=100"}, v2: []string{"memory.current<=100", "memory.max=100"}},
		"swappiness":          {r: memory(specs.LinuxMemory{Swappiness: new(uint64(0))}), v1: []string{"memory.swappiness=0"}, err2: "memory.swappiness"},
		"no OOM killer":       {r: memory(specs.LinuxMemory{DisableOOMKiller: new(true)}), v1: []string{"memory.oom_control=1"}, err2: "memory.disableOOMKiller"},
		"kernel TCP":          {r: memory(specs.LinuxMemory{KernelTCP: new(int64(7))}), v1: []string{"memory.kmem.tcp.limit_in_bytes=7"}, err2: "memory.kernelTCP"},
		"pids":                {r: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(7))}}, v1: []string{"pids.max=7"}, v2: []string{"pids.max=7"}},
		"pids unlimited":      {r: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(-1))}}, v1: []string{"pids.max=max"}, v2: []string{"pids.max=max"}},
		"pids zero":           {r: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(0))}}, v1: []string{"pids.max=1"}, v2: []string{"pids.max=1"}},
		"weights": {
			r:  block(specs.LinuxBlockIO{Weight: new(uint16(500)), WeightDevice: weighted(new(uint16(10)), nil)}),
			v1: []string{"blkio.weight=500|blkio.bfq.weight=500", "blkio.weight_device=8:0 10|blkio.bfq.weight_device=8:0 10"},
			v2: []string{"io.bfq.weight=500|io.weight=4950", "io.bfq.weight=8:0 10|io.weight=8:0 1"},
		},
		"leaf weight":    {r: block(specs.LinuxBlockIO{LeafWeight: new(uint16(500))}), v1: []string{"blkio.leaf_weight=500"}, err2: "blockIO.leafWeight"},
		"leaf weight of": {r: block(specs.LinuxBlockIO{WeightDevice: weighted(nil, new(uint16(20)))}), v1: []string{"blkio.leaf_weight_device=8:0 20"}, err2: "blockIO.weightDevice[0].leafWeight"},
		"throttle": {
			r: block(specs.LinuxBlockIO{ThrottleReadBpsDevice: throttled(1), ThrottleWriteBpsDevice: throttled(2), ThrottleReadIOPSDevice: throttled(3), ThrottleWriteIOPSDevice: throttled(0)}),
			v1: []string{
				"blkio.throttle.read_bps_device=8:16 1", "blkio.throttle.write_bps_device=8:16 2",
				"blkio.throttle.read_iops_device=8:16 3", "blkio.throttle.write_iops_device=8:16 0",
			},
			v2: []string{"io.max=8:16 rbps=1", "io.max=8:16 wbps=2", "io.max=8:16 riops=3", "io.max=8:16 wiops=max"},
		},
		"huge pages": {
			r:  specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4096}}},
			v1: []string{"hugetlb.2MB.limit_in_bytes=4096", "hugetlb.2MB.rsvd.limit_in_bytes=4096"},
			v2: []string{"hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096"},
		},
		"huge page of a path": {r: specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "/../x"}}}, err1: "hugepageLimits[0].pageSize", err2: "hugepageLimits[0].pageSize"},
		"rdma": {
			r:  specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: new(uint32(3)), HcaObjects: new(uint32(10000))}, "a": {HcaObjects: new(uint32(2))}, "none": {}}},
			v1: []string{"rdma.max=a hca_object=2", "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"},
			v2: []string{"rdma.max=a hca_object=2", "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"},
		},
		"network": {
			r:    specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: new(uint32(1048577)), Priorities: []specs.LinuxInterfacePriority{{Name: "eth0", Priority: 5}}}},
			v1:   []string{"net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5"},
			err2: "network.classID",
		},
		"unified": {
			r:    specs.LinuxResources{Unified: map[string]string{"memory.high": "1000", "cgroup.max.depth": "3", "cpu.weight.nice": "2"}},
			v2:   []string{"cgroup.max.depth=3", "cpu.weight.nice=2", "memory.high=1000"},
			err1: "unified.cgroup.max.depth",
		},
		"unified path":       {r: specs.LinuxResources{Unified: map[string]string{"memory/../x.y": "1"}}, err1: "unified.memory/../x.y", err2: "unified.memory/../x.y"},
		"unified word":       {r: specs.LinuxResources{Unified: map[string]string{"memory": "1"}}, err1: "unified.memory", err2: "unified.memory"},
		"unified controller": {r: specs.LinuxResources{Unified: map[string]string{"misc.max": "1"}}, err1: "unified.misc.max", err2: "unified.misc.max"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			read := func(file string) string { return tt.now[file] }
			list, err := oldHost().settings(&tt.r, read)
			checkSettings(t, list, err, tt.v1, tt.err1)
			list, err = newHost().settings(&tt.r, read)
			checkSettings(t, list, err, tt.v2, tt.err2)
		})
	}
}

func checkSettings(t *testing.T, list []setting, err error, want []string, field string) {
	t.Helper()
	if field != "" {
		f, ok := errors.AsType[*FieldError](err)
		if !ok || f.Field != field || !strings.Contains(err.Error(), "linux.resources."+field+": ") {
			t.Errorf("the error is %v, want one of %s", err, field)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, lines(list)); diff != "" {
		t.Error(diff)
	}
}

// TestNoController names the first field that cannot be had.
func TestNoController(t *testing.T) {
	for field, r := range map[string]specs.LinuxResources{
		"memory.limit":                     memory(specs.LinuxMemory{Limit: new(int64(1))}),
		"cpu.shares":                       cpu(specs.LinuxCPU{Shares: new(uint64(5))}),
		"cpu.mems":                         cpu(specs.LinuxCPU{Mems: "0"}),
		"pids.limit":                       {Pids: &specs.LinuxPids{Limit: new(int64(1))}},
		"blockIO.throttleReadBpsDevice[0]": block(specs.LinuxBlockIO{ThrottleReadBpsDevice: throttled(1)}),
		"rdma.x":                           {Rdma: map[string]specs.LinuxRdma{"x": {HcaHandles: new(uint32(1))}}},
		"network.classID":                  {Network: &specs.LinuxNetwork{ClassID: new(uint32(1))}},
		"hugepageLimits[0]":                {HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}}},
	} {
		for _, h := range []*host{{}, {unified: &hierarchy{dir: "/cg"}}} {
			_, err := h.settings(&r, func(string) string { return "" })
			if f, ok := errors.AsType[*FieldError](err); !ok || f.Field != field || !strings.Contains(f.Why, "no cgroup controller") {
				t.Errorf("%s: the error is %v", field, err)
			}
		}
	}
}

func TestWeights(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 3: 1, 512: 59, 1024: 100, 2048: 174, 4096: 303, 262144: 10000, 1 << 40: 10000} {
		if got := CPUWeight(shares); got < 1 || shares != 3 && got != want {
			t.Errorf("CPUWeight(%d) is %d, want %d", shares, got, want)
		}
	}
	for w, want := range map[uint16]uint64{0: 1, 10: 1, 100: 910, 500: 4950, 1000: 10000, 5000: 10000} {
		if got := IOWeight(w); got != want {
			t.Errorf("IOWeight(%d) is %d, want %d", w, got, want)
		}
	}
}

// FuzzCPUWeight: more shares are never less weight.
func FuzzCPUWeight(f *testing.F) {
	f.Add(uint64(2), uint64(3))
	f.Add(uint64(1024), uint64(1025))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		wa, wb := CPUWeight(min(a, b)), CPUWeight(max(a, b))
		if wa > wb || wa < 1 || wb > 10000 {
			t.Errorf("%d and %d weigh %d and %d", a, b, wa, wb)
		}
	})
}

// fakeTree is a directory that looks like a version 2 tree; groups have the files named.
func fakeTree(t *testing.T, files map[string]string) *host {
	t.Helper()
	top := t.TempDir()
	for name, content := range files {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &host{unified: &hierarchy{dir: top, root: "/"}, controllers: []string{"cpu", "memory", "pids", "io"}}
}

func contentOf(t *testing.T, h *host, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.unified.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestUnifiedFiles writes a whole set of limits, and has the groups above pass on their controllers.
func TestUnifiedFiles(t *testing.T) {
	h := fakeTree(t, map[string]string{
		"cgroup.subtree_control": "cpu pids", "a/cgroup.subtree_control": "", "a/id/cgroup.controllers": "",
		"a/id/memory.max": "", "a/id/memory.swap.max": "", "a/id/pids.max": "", "a/id/cpu.max": "", "a/id/cpu.weight": "",
		"a/id/io.max": "", "a/id/memory.high": "",
	})
	g, err := h.makeGroup("/a/id", &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(1 << 20)), Swap: new(int64(3 << 20))}, Pids: &specs.LinuxPids{Limit: new(int64(9))},
		CPU:     &specs.LinuxCPU{Shares: new(uint64(2048)), Quota: new(int64(1000))},
		BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: throttled(77)}, Unified: map[string]string{"memory.high": "5"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for name, want := range map[string]string{
		"a/id/memory.max": "1048576", "a/id/memory.swap.max": "2097152", "a/id/pids.max": "9", "a/id/cpu.max": "1000 100000",
		"a/id/cpu.weight": "174", "a/id/io.max": "8:16 rbps=77", "a/id/memory.high": "5",
	} {
		if got := contentOf(t, h, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// The last that was written, as a file is no kernel: at the top cpu and pids are passed on already.
	if got := contentOf(t, h, "cgroup.subtree_control"); strings.Contains(got, "+cpu") || strings.Contains(got, "+pids") || !strings.Contains(got, "+io") && !strings.Contains(got, "+memory") {
		t.Errorf("the top passes on %q", got)
	}
	if got := contentOf(t, h, "a/cgroup.subtree_control"); !strings.HasPrefix(got, "+") {
		t.Errorf("the parent passes on %q", got)
	}
}

// TestUnifiedRefused lacks files, or controllers above.
func TestUnifiedRefused(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		r     specs.LinuxResources
		field string
	}{
		"no file": {
			files: map[string]string{"a/id/cgroup.controllers": "memory"},
			r:     memory(specs.LinuxMemory{Limit: new(int64(5))}), field: "memory.limit",
		},
		"not passed on": {
			files: map[string]string{"a/id/cgroup.controllers": "cpu", "cgroup.subtree_control": "memory"},
			r:     memory(specs.LinuxMemory{Limit: new(int64(5))}), field: "memory.limit",
		},
		"too much in use": {
			files: map[string]string{"a/id/cgroup.controllers": "memory", "a/id/memory.current": "6000\n", "a/id/memory.max": ""},
			r:     memory(specs.LinuxMemory{Limit: new(int64(5)), CheckBeforeUpdate: new(true)}), field: "memory.limit",
		},
		"swap is not counted": {
			files: map[string]string{"a/id/cgroup.controllers": "memory", "a/id/memory.max": ""},
			r:     memory(specs.LinuxMemory{Limit: new(int64(5)), Swap: new(int64(9))}), field: "memory.swap",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := fakeTree(t, tt.files)
			g, err := open(filepath.Join(h.unified.dir, "a/id"))
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			g.host = h
			err = g.Update(&tt.r)
			if f, ok := errors.AsType[*FieldError](err); !ok || f.Field != tt.field {
				t.Errorf("the error is %v, want one of %s", err, tt.field)
			}
		})
	}
}

func TestUnlimitedSwapNeedsNoFile(t *testing.T) {
	h := fakeTree(t, map[string]string{"a/id/cgroup.controllers": "memory", "a/id/memory.max": ""})
	g, err := h.makeGroup("/a/id", new(memory(specs.LinuxMemory{Limit: new(int64(5)), Swap: new(int64(-1))})))
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Close()
}

func TestPlace(t *testing.T) {
	for path, want := range map[string]string{
		"id": "/deckhand/id", "a/b": "/deckhand/a/b", "/a/b": "/a/b", "//a//b/": "/a/b", "./a": "/deckhand/a",
		"": "", "/": "", ".": "", "..": "", "../a": "", "/a/../../b": "", "a/..": "", "a\x00": "", "a\nb": "",
	} {
		got, err := place(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("place(%q) is %q, %v; want %q", path, got, err, want)
		}
	}
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"a", "/a/b", "../x", "a/./b", "\x00", "..a/b.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := place(path)
		if err == nil && (!filepath.IsAbs(got) || got == "/" || filepath.Clean(got) != got || strings.Contains(got+"/", "/../")) {
			t.Errorf("place(%q) is %q", path, got)
		}
	})
}

func TestMountinfo(t *testing.T) {
	const text = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /docker/x /mnt/my\040pids rw - cgroup cgroup rw,xattr,pids,release_agent=/bin/x
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 / /mnt/two rw - cgroup2 cgroup2 rw
42 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
43 31 0:29 / /mnt/again rw - cgroup cgroup rw,cpu,cpuacct
nonsense
`
	h, err := parseMountinfo(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &host{
		unified: &hierarchy{dir: "/sys/fs/cgroup/unified", root: "/"},
		v1: []hierarchy{
			{"/sys/fs/cgroup/cpu,cpuacct", "/", []string{"cpu", "cpuacct"}},
			{"/mnt/my pids", "/docker/x", []string{"pids"}},
			{"/sys/fs/cgroup/systemd", "/", []string{"name=systemd"}},
		},
	}
	if diff := cmp.Diff(want, h, cmp.AllowUnexported(host{}, hierarchy{})); diff != "" {
		t.Error(diff)
	}
	pids := h.v1Of("pids")
	if dir, err := pids.below("/docker/x/sub"); err != nil || dir != "/mnt/my pids/sub" {
		t.Errorf("%s, %v", dir, err)
	}
	if dir, err := pids.below("/elsewhere"); err == nil {
		t.Errorf("a group that is not mounted is at %s", dir)
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n")
	f.Add("41 31 0:38 / /x\\040y rw shared:1 - cgroup2 none rw\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseMountinfo(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range h.v1 {
			if len(m.controllers) == 0 || h.v1Of(m.controllers[0]) == nil {
				t.Errorf("a hierarchy of nothing: %+v", m)
			}
		}
	})
}

func TestDelegated(t *testing.T) {
	for own, want := range map[string]delegation{
		"/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope": {inside: []string{"/cg/user.slice/user-1000.slice/user@1000.service"}},
		"/user.slice/user-1000.slice/session-3.scope": {
			inside:  []string{"/cg/user.slice/user-1000.slice", "/cg/user.slice/user-1000.slice/session-3.scope"},
			outside: []string{"/cg/user.slice/user-1000.slice/user@1000.service"},
		},
		"/system.slice/x.service": {inside: []string{"/cg/system.slice", "/cg/system.slice/x.service"}},
		"/":                       {},
	} {
		if diff := cmp.Diff(want, delegatedFrom("/cg", own), cmp.AllowUnexported(delegation{})); diff != "" {
			t.Errorf("%s: %s", own, diff)
		}
	}
}

func TestRecord(t *testing.T) {
	got := parseRecord("cpu,cpuacct /cg/cpu/deckhand/x y\nbad\nmemory relative\n /no\npids /cg/pids/../z\n")
	want := []member{{[]string{"cpu", "cpuacct"}, "/cg/cpu/deckhand/x y"}, {[]string{"pids"}, "/cg/z"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
}
