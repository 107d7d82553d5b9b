package caps

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	without := func(set []string, name string) []string {
		return slices.DeleteFunc(slices.Sorted(slices.Values(set)), func(s string) bool { return s == name })
	}
	tests := map[string]struct {
		base, add, drop, want []string
	}{
		"nothing":                  {want: []string{}},
		"docker's":                 {base: Docker, want: Docker},
		"add, any case, no prefix": {add: []string{"net_raw", "Cap_Chown"}, want: []string{"CAP_CHOWN", "CAP_NET_RAW"}},
		"drop":                     {base: Docker, drop: []string{"MKNOD"}, want: without(Docker, "CAP_MKNOD")},
		"drop all, add one":        {base: Docker, drop: []string{"all"}, add: []string{"NET_ADMIN"}, want: []string{"CAP_NET_ADMIN"}},
		"add all, drop one":        {base: Docker, add: []string{"ALL"}, drop: []string{"SYS_ADMIN"}, want: without(All(), "CAP_SYS_ADMIN")},
		"add and drop the same":    {add: []string{"CHOWN"}, drop: []string{"CHOWN"}, want: []string{}},
		"add and drop all":         {base: Docker, add: []string{"ALL"}, drop: []string{"ALL"}, want: slices.Sorted(slices.Values(All()))},
		"twice":                    {add: []string{"CHOWN", "chown"}, want: []string{"CAP_CHOWN"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(tt.base, tt.add, tt.drop)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveUnknown(t *testing.T) {
	for _, set := range [][3][]string{{{"X"}, nil, nil}, {nil, {"CAP_NOPE"}, nil}, {nil, nil, {""}}} {
		_, err := Resolve(set[0], set[1], set[2])
		if _, ok := errors.AsType[*UnknownError](err); !ok {
			t.Errorf("Resolve(%q) = %v, want an UnknownError", set, err)
		}
	}
}

// TestNumbers compares with the kernel's headers, and with how many capabilities this kernel has.
func TestNumbers(t *testing.T) {
	for name, want := range map[string]int{
		"CHOWN": unix.CAP_CHOWN, "SETPCAP": unix.CAP_SETPCAP, "SYS_ADMIN": unix.CAP_SYS_ADMIN, "MKNOD": unix.CAP_MKNOD,
		"SETFCAP": unix.CAP_SETFCAP, "SYSLOG": unix.CAP_SYSLOG, "CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
	} {
		if got, err := Number(name); got != want || err != nil {
			t.Errorf("Number(%s) = %d, %v, want %d", name, got, err, want)
		}
	}
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(last)))
	if err != nil {
		t.Fatal(err)
	}
	if n > len(names)-1 {
		t.Errorf("the kernel has capabilities up to %d, we know %d", n, len(names)-1)
	}
}

func TestDockerHas14(t *testing.T) {
	mask, err := Mask(Docker)
	if err != nil {
		t.Fatal(err)
	}
	if len(Docker) != 14 || mask != 0xa80425fb {
		t.Errorf("%d capabilities, mask %#x, want 14 and docker's 0xa80425fb", len(Docker), mask)
	}
}
