package seccomp

import "testing"

func TestNames(t *testing.T) {
	named := 0
	names := Names()
	for n, name := range names {
		if name == "" {
			continue
		}
		named++
		if back, ok := Number(name); !ok || back != n {
			t.Errorf("%s is %d, and %d back", name, n, back)
		}
	}
	if named != len(abis[0].syscalls) {
		t.Errorf("%d of %d numbers have names", named, len(abis[0].syscalls))
	}
	if last := len(names) - 1; last != lastSyscall || names[last] == "" {
		t.Errorf("the last one is %d %q", last, names[last])
	}
	if _, ok := Number("nosuch"); ok {
		t.Error("what is not there has a number")
	}
}
