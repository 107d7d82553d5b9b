package rootless

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/user"
)

func TestParseRanges(t *testing.T) {
	tests := map[string]struct {
		file, name string
		want       []user.SubID
		next       int64
	}{
		"empty":         {file: "", name: "ann", next: 100000},
		"by name":       {file: "bob:100000:65536\nann:165536:65536\n", name: "ann", want: []user.SubID{{Name: "ann", SubID: 165536, Count: 65536}}, next: 231072},
		"by uid":        {file: "1000:200000:10\n", name: "ann", want: []user.SubID{{Name: "1000", SubID: 200000, Count: 10}}, next: 200010},
		"several":       {file: "ann:300000:5\n\nann:200000:10", name: "ann", want: []user.SubID{{Name: "ann", SubID: 300000, Count: 5}, {Name: "ann", SubID: 200000, Count: 10}}, next: 300005},
		"of others":     {file: "bob:100000:65536\n10001:500000:1", name: "ann", next: 500001},
		"nameless user": {file: ":100000:65536\n", name: "", next: 165536},
		"nonsense":      {file: "ann\nann:x:y\nann:-5:10\nann:0:10\nann:4294967295:5\nann:100000:-1\nann:9223372036854775807:9223372036854775807", name: "ann", next: 100000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			next := int64(firstSubID)
			got, err := parseRanges(strings.NewReader(tt.file), tt.name, 1000, &next)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || next != tt.next {
				t.Errorf("next %d, want %d (-want +got)\n%s", next, tt.next, diff)
			}
		})
	}
}

func FuzzParseRanges(f *testing.F) {
	f.Add("ann:100000:65536\n1000:5:5\n")
	f.Fuzz(func(t *testing.T, file string) {
		next := int64(firstSubID)
		ranges, err := parseRanges(strings.NewReader(file), "ann", 1000, &next)
		if err != nil {
			return
		}
		for _, r := range ranges {
			if r.SubID <= 0 || r.Count <= 0 || r.SubID+r.Count > next || next > allIDs {
				t.Errorf("took %+v, next %d", r, next)
			}
		}
	})
}

func TestContiguous(t *testing.T) {
	tests := map[string]struct {
		extents []user.IDMap
		want    uint32
	}{
		"none":         {nil, 0},
		"initial":      {[]user.IDMap{{ID: 0, ParentID: 0, Count: allIDs}}, allIDs},
		"single":       {[]user.IDMap{{ID: 0, ParentID: 1000, Count: 1}}, 1},
		"usual":        {[]user.IDMap{{ID: 0, ParentID: 1000, Count: 1}, {ID: 1, ParentID: 100000, Count: 65536}}, 65537},
		"out of order": {[]user.IDMap{{ID: 11, Count: 5}, {ID: 1, Count: 10}, {ID: 0, Count: 1}}, 16},
		"gap":          {[]user.IDMap{{ID: 0, Count: 1}, {ID: 2, Count: 10}}, 1},
		"no zero":      {[]user.IDMap{{ID: 1, Count: 10}}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := contiguous(tt.extents); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestMapperArgs(t *testing.T) {
	got := mapperArgs(42, 1000, []user.SubID{{SubID: 100000, Count: 10}, {SubID: 300000, Count: 5}})
	want := []string{"42", "0", "1000", "1", "1", "100000", "10", "11", "300000", "5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAddCommand(t *testing.T) {
	if got, want := addCommand("ann", 1000, 165536), "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := addCommand("", 1000, 100000), "echo 1000:100000:65536 | sudo tee -a /etc/subuid /etc/subgid"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestFindProgram(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"deckhand-a": 0o755, "deckhand-b": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", "relative::/nowhere:"+dir)
	t.Chdir(dir)
	for name, want := range map[string]string{"deckhand-a": dir + "/deckhand-a", "deckhand-b": "", "deckhand-c": ""} {
		if got := findProgram(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	t.Setenv("PATH", "relative:.")
	if got := findProgram("deckhand-a"); got != "" {
		t.Errorf("found through a relative PATH: %q", got)
	}
	if got := findProgram("sh"); got == "" {
		t.Error("sh is not found without PATH")
	}
}

func TestRefusal(t *testing.T) {
	tests := map[string]struct {
		err    error
		sysctl map[string]string
		want   string
	}{
		"off":       {syscall.ENOSPC, map[string]string{"user.max_user_namespaces": "0"}, "sudo sysctl -w user.max_user_namespaces=15000"},
		"debian":    {syscall.EPERM, map[string]string{"kernel.unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		"apparmor":  {syscall.EACCES, map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1"}, "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		"many":      {syscall.ENOSPC, map[string]string{"user.max_user_namespaces": "30"}, "too many already, the limit is 30"},
		"kernel":    {syscall.EINVAL, nil, "CONFIG_USER_NS"},
		"who knows": {syscall.EIO, map[string]string{"user.max_user_namespaces": "30", "kernel.apparmor_restrict_unprivileged_userns": "0"}, "make user namespace: input/output error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := refusal(tt.err, func(name string) string { return tt.sysctl[name] })
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLookupOfNobody(t *testing.T) {
	t.Setenv("USER", "")
	s, err := lookup(4_000_000_000, 4_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if s.Missing == "" || s.Fix == "" || len(s.UIDs) != 0 {
		t.Errorf("got %+v", s)
	}
	if s.uidMapper != "" && !strings.HasPrefix(s.Fix, "echo 4000000000:") {
		t.Errorf("fix: %s", s.Fix)
	}
}

func TestSplit(t *testing.T) {
	usual := []user.IDMap{{ID: 0, ParentID: 1000, Count: 1}, {ID: 1, ParentID: 100000, Count: 65536}}
	m := func(c, h, n int) syscall.SysProcIDMap {
		return syscall.SysProcIDMap{ContainerID: c, HostID: h, Size: n}
	}
	tests := map[string]struct {
		mappings []syscall.SysProcIDMap
		extents  []user.IDMap
		want     []syscall.SysProcIDMap
	}{
		"identity":   {[]syscall.SysProcIDMap{m(0, 0, 65536)}, usual, []syscall.SysProcIDMap{m(0, 0, 1), m(1, 1, 65535)}},
		"all of it":  {[]syscall.SysProcIDMap{m(0, 0, 65537)}, usual, []syscall.SysProcIDMap{m(0, 0, 1), m(1, 1, 65536)}},
		"fits":       {[]syscall.SysProcIDMap{m(0, 1, 65536)}, usual, []syscall.SysProcIDMap{m(0, 1, 65536)}},
		"single":     {[]syscall.SysProcIDMap{m(0, 0, 1)}, usual[:1], []syscall.SysProcIDMap{m(0, 0, 1)}},
		"three":      {[]syscall.SysProcIDMap{m(10, 0, 20)}, []user.IDMap{{ID: 5, Count: 5}, {ID: 0, Count: 5}, {ID: 10, Count: 10}}, []syscall.SysProcIDMap{m(10, 0, 5), m(15, 5, 5), m(20, 10, 10)}},
		"two of two": {[]syscall.SysProcIDMap{m(0, 1, 5), m(5, 0, 3)}, usual, []syscall.SysProcIDMap{m(0, 1, 5), m(5, 0, 1), m(6, 1, 2)}},
		"none":       {nil, usual, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, split(tt.mappings, tt.extents)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
