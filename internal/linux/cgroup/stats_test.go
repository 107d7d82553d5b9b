package cgroup

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStats2 reads the files of a version 2 group.
func TestStats2(t *testing.T) {
	h := fakeTree(t, map[string]string{
		"id/cpu.stat":       "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
		"id/memory.current": "1000\n", "id/memory.max": "max\n", "id/memory.peak": "2000\n", "id/memory.swap.current": "5\n", "id/memory.swap.max": "6\n",
		"id/memory.stat": "anon 1\nfile 300\ninactive_file 200\n", "id/memory.events": "low 0\nmax 4\noom 1\noom_kill 3\n",
		"id/pids.current": "2\n", "id/pids.max": "max\n",
		"id/io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=9 dios=9\n8:16\n253:1 rbytes=x wios=8\n",
	})
	g, err := open(filepath.Join(h.unified.dir, "id"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	got, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	want := &Stats{
		CPU: &CPUStats{Usage: 30000, User: 20000, System: 10000, Periods: 5, ThrottledPeriods: 2, ThrottledTime: 7000},
		Memory: &MemoryStats{
			Usage: 1000, MaxUsage: 2000, Limit: Unlimited, Failures: 4, Cache: 300, InactiveFile: 200, Swap: 5, SwapLimit: 6, OOMKills: 3,
			Detail: map[string]uint64{"anon": 1, "file": 300, "inactive_file": 200},
		},
		Pids: &PidsStats{Current: 2, Limit: Unlimited},
		IO:   []IOStats{{Major: 8, ReadBytes: 1, WriteBytes: 2, Reads: 3, Writes: 4}, {Major: 253, Minor: 1, Writes: 8}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if killed, err := g.OOMKilled(); err != nil || !killed {
		t.Errorf("OOMKilled is %v, %v", killed, err)
	}
}

func TestIO1(t *testing.T) {
	list := parseIO1("8:0 Read 10\n8:0 Write 20\n8:0 Sync 5\n8:0 Total 30\n8:16 Read 1\nTotal 31\n", true, nil)
	list = parseIO1("8:0 Read 1\n8:0 Write 2\nx:y Read 4\n", false, list)
	want := []IOStats{{Major: 8, ReadBytes: 10, WriteBytes: 20, Reads: 1, Writes: 2}, {Major: 8, Minor: 16, ReadBytes: 1}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
}

// TestStatsOfNothing: a group that nothing counts for, and one that is gone.
func TestStatsOfNothing(t *testing.T) {
	h := fakeTree(t, map[string]string{"id/x": ""})
	for _, g := range []*Group{{}, {Path: filepath.Join(h.unified.dir, "id")}, {Path: "/nowhere"}} {
		got, err := g.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Stats{}, got); diff != "" {
			t.Errorf("%s: %s", g.Path, diff)
		}
	}
}

func FuzzStats(f *testing.F) {
	f.Add("8:0 rbytes=1 wbytes=2\n")
	f.Add("8:0 Read 1\nusage_usec 3\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range append(parseIO2(text), parseIO1(text, true, nil)...) {
			if d.Major > 1<<32-1 || d.Minor > 1<<32-1 {
				t.Errorf("device %d:%d", d.Major, d.Minor)
			}
		}
		parseTable(text)
	})
}
