package seccomp

import "testing"

func TestNames(t *testing.T) {
	named := 0
	for n := range Last + 1 {
		name := Name(n)
		if name == "" {
			continue
		}
		named++
		if back, ok := Number(name); !ok || back != n {
			t.Errorf("%s is %d, and %d back", name, n, back)
		}
	}
	if named != len(syscalls) {
		t.Errorf("%d of %d numbers have names", named, len(syscalls))
	}
	if _, ok := Number("nosuch"); ok || Name(Last+1) != "" || Name(-1) != "" {
		t.Error("what is not there has a number or a name")
	}
}
